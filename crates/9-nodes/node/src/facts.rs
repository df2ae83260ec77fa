//! What the agent takes from the machine itself.

use basalt_digest::Digest;

/// Facts that a plan depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The machine id: 32 hexadecimal digits. See [`crate::machine_id`].
    pub machine_id: Option<String>,
}

impl Facts {
    /// What the node is called when its NodeConfig does not say.
    ///
    /// A digest of the id, not its first digits: those are the maker's name on Dell's servers, the number of the model
    /// on HPE's, and zero on some of Supermicro's.
    pub fn default_hostname(&self) -> String {
        match &self.machine_id {
            Some(id) => format!("basalt-{}", &Digest::of(id).to_hex()[..12]),
            None => "basalt".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(id: &str) -> String {
        let machine_id = Some(id.to_owned());
        Facts { machine_id }.default_hostname()
    }

    #[test]
    fn machines_of_one_maker_have_names_of_their_own() {
        assert_eq!(Facts { machine_id: None }.default_hostname(), "basalt");
        assert_eq!(name("0123456789abcdef0123456789abcdef"), "basalt-3eb1bd439947");
        let names = [
            "4c4c4544003630108052b4c04f533233",
            "4c4c4544003630108052b4c04f533234",
            "00000000000000000000ac1f6b112233",
            "00000000000000000000ac1f6b112234",
        ]
        .map(name);
        for (index, one) in names.iter().enumerate() {
            assert!(!names[..index].contains(one), "{names:?}");
        }
    }
}
