//! Pins of a cluster's certificate authority: SHA-256 over the public key of a certificate (RFC 7469), as `kubeadm` has
//! them in `--discovery-token-ca-cert-hash`.

use std::fmt;
use std::str::FromStr;

use basalt_document::Finding;

/// SHA-256 over the DER encoding of a certificate's SubjectPublicKeyInfo: `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaPin([u8; 32]);

impl CaPin {
    /// Pin with this SHA-256 digest of a SubjectPublicKeyInfo in DER.
    pub fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl fmt::Display for CaPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for CaPin {
    type Err = Finding;

    fn from_str(text: &str) -> Result<Self, Finding> {
        let wrong = |message: String| {
            let command = "openssl x509 -pubkey -noout -in /etc/kubernetes/pki/ca.crt | openssl pkey -pubin -outform der | sha256sum";
            let help = format!("write `sha256:` and 64 hexadecimal digits; on a control-plane node: `{command}`");
            Err(Finding::error(message, "not the hash of a public key").with_help(help))
        };
        let Some((algorithm, digits)) = text.split_once(':') else {
            return wrong(format!("`{text}` does not begin with `sha256:`"));
        };
        if !algorithm.eq_ignore_ascii_case("sha256") {
            return wrong(format!("`{algorithm}` is not a hash that kubeadm has: `sha256` is"));
        }
        let found = digits.chars().count();
        if found != 64 {
            return wrong(format!("the hash has {found} digits, and SHA-256 has 64"));
        }
        let values: Option<Vec<u8>> = digits
            .chars()
            .map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok()))
            .collect();
        let Some(values) = values else {
            return wrong("the hash has something else than hexadecimal digits".to_owned());
        };
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(values.chunks_exact(2)) {
            *byte = pair.iter().fold(0, |sum, digit| sum << 4 | digit);
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms() {
        let digits = "5c".repeat(32);
        for good in [format!("sha256:{digits}"), format!("SHA256:{}", digits.to_uppercase())] {
            let pin: CaPin = good.parse().unwrap();
            assert_eq!(pin.to_string(), format!("sha256:{digits}"));
        }
        for bad in [
            String::new(),
            digits.clone(),
            format!("sha512:{digits}"),
            format!("sha256:{digits}0"),
            format!("sha256:{}", "zz".repeat(32)),
            format!("sha256:{}", "é".repeat(32)),
            format!("sha256:{}", digits.split_at(1).1),
        ] {
            assert!(bad.parse::<CaPin>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn pins_come_back_whole(bytes: [u8; 32]) {
            let pin = CaPin(bytes);
            prop_assert_eq!(pin.to_string().parse::<CaPin>(), Ok(pin));
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = text.parse::<CaPin>();
            let _ = format!("sha256:{text}").parse::<CaPin>();
        }
    }
}
