//! Certificate signing requests of kubelets.

use std::str::FromStr as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use serde_json::{Value, json};
use x509_cert::SubjectPublicKeyInfo;
use x509_cert::attr::Attributes;
use x509_cert::der::{Encode as _, EncodePem as _};
use x509_cert::name::Name;
use x509_cert::request::{CertReq, CertReqInfo, Version};
use x509_cert::spki::{DynSignatureAlgorithmIdentifier as _, SignatureBitStringEncoding as _};

use super::CertificateRequestError;

/// Certificate request with its key.
pub(super) struct CertificateRequest {
    /// Key in PEM (PKCS 8).
    pub(super) key: String,
    /// Request in PEM (PKCS 10).
    pub(super) request: String,
}

impl CertificateRequest {
    /// Makes the request of a node, with a new key.
    pub(super) fn make(hostname: &str) -> Result<Self, CertificateRequestError> {
        let failed = |error: &dyn std::fmt::Display| CertificateRequestError::Make(error.to_string());
        let key = SigningKey::try_generate().map_err(|error| failed(&error))?;
        // The organization comes first in it: the order in text is the other one (RFC 4514).
        let subject = Name::from_str(&format!("CN=system:node:{hostname},O=system:nodes"));
        let info = CertReqInfo {
            version: Version::V1,
            subject: subject.map_err(|error| failed(&error))?,
            public_key: SubjectPublicKeyInfo::from_key(key.verifying_key()).map_err(|error| failed(&error))?,
            attributes: Attributes::default(),
        };
        let text = info.to_der().map_err(|error| failed(&error))?;
        let signature: DerSignature = key.try_sign(&text).map_err(|error| failed(&error))?;
        let request = CertReq {
            info,
            algorithm: key.signature_algorithm_identifier().map_err(|error| failed(&error))?,
            signature: signature.to_bitstring().map_err(|error| failed(&error))?,
        };
        let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|error| failed(&error))?;
        Ok(Self {
            key: pem.to_string(),
            request: request.to_pem(LineEnding::LF).map_err(|error| failed(&error))?,
        })
    }

    /// The object for the API server, as the kubelet makes it for a key of this kind.
    pub(super) fn object(&self) -> Value {
        json!({
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": { "generateName": "csr-" },
            "spec": {
                "request": STANDARD.encode(&self.request),
                "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
                "usages": ["digital signature", "client auth"],
            },
        })
    }
}

/// The public key of a key in PEM.
pub(super) fn public_key(key: &str) -> Result<SubjectPublicKeyInfo, CertificateRequestError> {
    let failed = |error: &dyn std::fmt::Display| CertificateRequestError::Make(error.to_string());
    let key = SigningKey::from_pkcs8_pem(key).map_err(|error| failed(&error))?;
    SubjectPublicKeyInfo::from_key(key.verifying_key()).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use x509_cert::der::DecodePem as _;

    use super::*;

    #[test]
    fn a_request_is_that_of_a_kubelet() {
        let made = CertificateRequest::make("worker-1").unwrap();
        let request = CertReq::from_pem(&made.request).unwrap();
        let subject = request.info.subject.to_string();
        assert_eq!(subject, "CN=system:node:worker-1,O=system:nodes");
        // Names and addresses are refused by the signer.
        assert!(request.info.attributes.is_empty());
        let object = made.object();
        let pem = STANDARD.decode(object["spec"]["request"].as_str().unwrap()).unwrap();
        assert_eq!(pem, made.request.as_bytes());
        assert_eq!(
            object["spec"]["signerName"],
            "kubernetes.io/kube-apiserver-client-kubelet"
        );
    }

    #[test]
    fn a_request_is_signed_with_its_key() {
        use p256::ecdsa::signature::Verifier as _;
        let made = CertificateRequest::make("worker-1").unwrap();
        let request = CertReq::from_pem(&made.request).unwrap();
        let key = <SigningKey as p256::pkcs8::DecodePrivateKey>::from_pkcs8_pem(&made.key).unwrap();
        let signature = DerSignature::try_from(request.signature.raw_bytes()).unwrap();
        let text = request.info.to_der().unwrap();
        key.verifying_key().verify(&text, &signature).unwrap();
        assert_ne!(made.key, CertificateRequest::make("worker-1").unwrap().key);
    }
}
