//! Bootstrap tokens.

use std::fmt;
use std::str::FromStr;

use basalt_document::Finding;

/// The token of a node's first contact with its cluster: six characters, a dot, sixteen characters.
#[derive(Clone, PartialEq, Eq)]
pub struct BootstrapToken {
    id: String,
    secret: String,
}

impl BootstrapToken {
    /// The public part, by which the cluster finds it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The whole token as sent to the API server. Whoever has it can join the cluster.
    pub fn reveal(&self) -> String {
        format!("{}.{}", self.id, self.secret)
    }
}

/// Never shows the secret.
impl fmt::Debug for BootstrapToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BootstrapToken({}.…)", self.id)
    }
}

impl FromStr for BootstrapToken {
    type Err = Finding;

    // No message repeats the token: errors end up in logs.
    fn from_str(text: &str) -> Result<Self, Finding> {
        let make = "make one with `kubeadm token create`, or copy it from `kubectl -n kube-system get secret`";
        let wrong = |message: String| Finding::error(message, "not a bootstrap token").with_help(make);
        let Some((id, secret)) = text.split_once('.') else {
            let message = "the token has no dot: its form is six characters, a dot, sixteen characters";
            return Err(wrong(message.to_owned()));
        };
        for (part, name, length) in [(id, "before", 6), (secret, "after", 16)] {
            let found = part.chars().count();
            if found != length {
                return Err(wrong(format!(
                    "the token has {found} characters {name} its dot, and {length} are needed"
                )));
            }
            if !part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            {
                let message =
                    format!("{name} its dot, the token has something else than lower-case letters and digits");
                return Err(wrong(message));
            }
        }
        Ok(Self {
            id: id.to_owned(),
            secret: secret.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms() {
        assert!("abcdef.0123456789abcdef".parse::<BootstrapToken>().is_ok());
        for bad in [
            "",
            ".",
            "abcdef",
            "abcde.0123456789abcdef",
            "abcdef.0123456789abcde",
            "ABCDEF.0123456789abcdef",
        ] {
            assert!(bad.parse::<BootstrapToken>().is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_stay_secret() {
        let token: BootstrapToken = "abcdef.0123456789abcdef".parse().unwrap();
        assert!(!format!("{token:?}").contains("0123456789"));
        let finding = "abcdef.SECRETSECRET".parse::<BootstrapToken>().unwrap_err();
        assert!(!format!("{finding:?}").contains("SECRET"));
    }

    proptest! {
        #[test]
        fn good_ones_come_back_whole(text in "[a-z0-9]{6}\\.[a-z0-9]{16}") {
            prop_assert_eq!(text.parse::<BootstrapToken>().unwrap().reveal(), text);
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = text.parse::<BootstrapToken>();
        }
    }
}
