//! Results that came from a shared cache count as long as the key that signed them is trusted.

#![cfg(test)]

use basalt_action::{Action, ActionResult, Directory};
use basalt_store::Store;
use camino::Utf8Path;

#[test]
fn a_result_counts_while_its_signer_is_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(Utf8Path::from_path(folder.path()).expect("UTF-8")).expect("opens");
    let results = ["ours", "theirs"].map(|name| {
        let action = Action::function(name, &["code"], Directory::new()).encode();
        let result = ActionResult {
            stdout: name.as_bytes().to_vec(),
            signer: (name == "theirs").then(|| "team:AAAA".to_owned()),
            ..ActionResult::default()
        };
        store.put_action_result(&action, &result).expect("kept");
        (action.key, result)
    });
    let [(ours, our_result), (theirs, their_result)] = results;
    // Whoever names no keys, such as a library, takes everything.
    assert_eq!(store.action_result(&theirs), Some(their_result.clone()));
    let trusting = |keys: &[&str]| {
        store
            .clone()
            .with_trusted_signers(keys.iter().map(|key| (*key).to_owned()))
    };
    // Another key of the same name is another key.
    let cases: [(&[&str], bool); 3] = [(&["team:AAAA"], true), (&["team:BBBB"], false), (&[], false)];
    for (keys, counts) in cases {
        let store = trusting(keys);
        assert_eq!(store.action_result(&ours), Some(our_result.clone()), "{keys:?}");
        let expected = counts.then(|| their_result.clone());
        assert_eq!(store.own_action_result(&theirs.digest), expected, "{keys:?}");
        assert_eq!(store.action_result(&theirs), expected, "{keys:?}");
    }
}
