//! TLS settings for rustls, with ring as the cryptography.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use puna_api::{Error, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedCipherSuite, version};

use crate::network::{TlsConfig, TlsVerify, TlsVersion};

/// How a client secures its connections. What the configuration's files say is read when it is made; the system's certificate
/// authorities are read by the first connection that needs them, since that takes longer than the whole start of a server.
pub(crate) struct Tls {
    trust: Trust,
    provider: Arc<CryptoProvider>,
    min_version: TlsVersion,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
    /// See [`without_identity`](Self::without_identity).
    anonymous: OnceLock<Arc<Tls>>,
}

enum Trust {
    /// The system's authorities and these.
    System(Vec<CertificateDer<'static>>),
    /// These authorities alone.
    Only(Arc<RootCertStore>),
    /// Anybody.
    Anybody,
}

/// Chooses the TLS implementation of this process, unless that was done. Clients of other crates than this one need it before they are made:
/// more than one crate in a binary may bring an implementation, and which of them is meant would be ambiguous.
pub fn choose_tls() {
    if CryptoProvider::get_default().is_none() {
        // Whoever was faster chose as well.
        let _ = ring::default_provider().install_default();
    }
}

impl Tls {
    /// Reads the files that the configuration names. `extra_authorities` is a file of authorities to trust as well.
    pub(crate) fn new(config: Option<&TlsConfig>, extra_authorities: Option<&Path>) -> Result<Self> {
        let defaults = TlsConfig::default();
        let TlsConfig {
            verify,
            min_version,
            ciphers,
            client_cert,
            client_key,
        } = config.unwrap_or(&defaults);
        let extra = match extra_authorities {
            None => Vec::new(),
            Some(path) => certificates(path, "network.proxy.cacert")?,
        };
        let trust = match verify {
            None | Some(TlsVerify::Switch(true)) => Trust::System(extra),
            Some(TlsVerify::Switch(false)) => Trust::Anybody,
            Some(TlsVerify::File(path)) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path, "network.tls.verify")?.into_iter().chain(extra) {
                    roots.add(certificate).map_err(|error| {
                        Error::configuration(format!(
                            "{} holds a certificate that cannot be trusted: {error}",
                            path.display()
                        ))
                        .with_param("network.tls.verify")
                    })?;
                }
                Trust::Only(Arc::new(roots))
            }
        };
        let mut provider = ring::default_provider();
        if let Some(names) = ciphers {
            provider.cipher_suites = names.iter().map(|name| cipher_suite(name)).collect::<Result<_>>()?;
        }
        let identity = match (client_cert, client_key) {
            (Some(cert), Some(key)) => {
                let chain = certificates(cert, "network.tls.client_cert")?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
                    Error::configuration(format!("failed to read a private key from {}: {error}", key.display()))
                        .with_param("network.tls.client_key")
                })?;
                Some((chain, key))
            }
            _ => None,
        };
        let tls = Self {
            trust,
            provider: Arc::new(provider),
            min_version: min_version.unwrap_or(TlsVersion::V12),
            identity,
            config: OnceLock::new(),
            anonymous: OnceLock::new(),
        };
        if !matches!(tls.trust, Trust::System(_)) {
            // Nothing more has to be read, so that a fault shows now.
            tls.config()
                .map_err(|message| Error::configuration(message).with_param("network.tls"))?;
        }
        Ok(tls)
    }

    /// The same trust without the client's own certificate, for servers that a request chose.
    pub(crate) fn without_identity(self: &Arc<Self>) -> Arc<Self> {
        if self.identity.is_none() {
            return Arc::clone(self);
        }
        let anonymous = self.anonymous.get_or_init(|| {
            Arc::new(Self {
                trust: match &self.trust {
                    Trust::System(extra) => Trust::System(extra.clone()),
                    Trust::Only(roots) => Trust::Only(Arc::clone(roots)),
                    Trust::Anybody => Trust::Anybody,
                },
                provider: Arc::clone(&self.provider),
                min_version: self.min_version,
                identity: None,
                config: OnceLock::new(),
                anonymous: OnceLock::new(),
            })
        });
        Arc::clone(anonymous)
    }

    /// The settings for a connection. The first call may read the system's certificate authorities, which blocks for some milliseconds.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        self.config.get_or_init(|| self.build().map(Arc::new)).clone()
    }

    /// Whether [`config`](Self::config) answers at once.
    pub(crate) fn is_ready(&self) -> bool {
        self.config.get().is_some()
    }

    fn build(&self) -> Result<ClientConfig, String> {
        let versions: &[_] = match self.min_version {
            TlsVersion::V12 => &[&version::TLS13, &version::TLS12],
            TlsVersion::V13 => &[&version::TLS13],
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions)
            .map_err(|error| format!("the cipher suites do not fit the TLS versions: {error}"))?;
        let builder = match &self.trust {
            Trust::Anybody => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(TrustAnybody(Arc::clone(&self.provider)))),
            Trust::Only(roots) => builder.with_webpki_verifier(self.verifier(Arc::clone(roots))?),
            Trust::System(extra) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(system_authorities().iter().cloned());
                roots.add_parsable_certificates(extra.iter().cloned());
                if roots.is_empty() {
                    return Err("this machine has no certificate authorities to check servers against; \
                                install them or name a file in `network.tls.verify`"
                        .to_owned());
                }
                builder.with_webpki_verifier(self.verifier(Arc::new(roots))?)
            }
        };
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(|error| format!("the client certificate and its key do not fit: {error}"))?,
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn verifier(&self, roots: Arc<RootCertStore>) -> Result<Arc<WebPkiServerVerifier>, String> {
        WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&self.provider))
            .build()
            .map_err(|error| format!("the certificate authorities are of no use: {error}"))
    }
}

/// The cipher suite of this IANA or OpenSSL name.
pub(crate) fn cipher_suite(name: &str) -> Result<SupportedCipherSuite> {
    ring::ALL_CIPHER_SUITES
        .iter()
        .copied()
        .find(|suite| names(*suite).iter().any(|known| known == name))
        .ok_or_else(|| {
            let known: Vec<_> = ring::ALL_CIPHER_SUITES
                .iter()
                .map(|suite| names(*suite)[0].clone())
                .collect();
            Error::configuration(format!(
                "unknown cipher suite `{name}`; known ones are {}",
                known.join(", ")
            ))
        })
}

/// The names of a suite: IANA's first, then OpenSSL's.
fn names(suite: SupportedCipherSuite) -> [String; 2] {
    // rustls calls the suites of TLS 1.3 `TLS13_…`, IANA `TLS_…`; OpenSSL uses IANA's names for those.
    let iana = format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1);
    let openssl = match iana.strip_prefix("TLS_ECDHE_") {
        None => iana.clone(),
        Some(rest) => {
            let rest = rest
                .replace("_WITH_", "-")
                .replace("AES_", "AES")
                .replace("_SHA256", "-SHA256");
            let rest = rest
                .replace("_SHA384", "-SHA384")
                .replace("CHACHA20_POLY1305-SHA256", "CHACHA20-POLY1305");
            format!("ECDHE-{}", rest.replace('_', "-"))
        }
    };
    [iana, openssl]
}

fn certificates(path: &Path, param: &str) -> Result<Vec<CertificateDer<'static>>> {
    let problem = |error: &dyn std::fmt::Display| {
        Error::configuration(format!("failed to read certificates from {}: {error}", path.display())).with_param(param)
    };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<_, _>>)
        .map_err(|error| problem(&error))?;
    if certificates.is_empty() {
        return Err(problem(&"it holds none"));
    }
    Ok(certificates)
}

/// The system's certificate authorities, read once. Those that cannot be read are left out.
fn system_authorities() -> &'static [CertificateDer<'static>] {
    static AUTHORITIES: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    AUTHORITIES.get_or_init(|| rustls_native_certs::load_native_certs().certs)
}

/// What `verify: false` asks for: every certificate is taken, but the server must own its key.
#[derive(Debug)]
struct TrustAnybody(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAnybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_known_by_both_names() {
        for (name, iana) in [
            ("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
            ("ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
            (
                "ECDHE-ECDSA-AES256-GCM-SHA384",
                "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            ),
            (
                "ECDHE-RSA-CHACHA20-POLY1305",
                "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            ),
        ] {
            assert_eq!(cipher_suite(name).unwrap(), cipher_suite(iana).unwrap());
        }
        assert!(
            cipher_suite("RC4")
                .unwrap_err()
                .message()
                .contains("TLS_AES_256_GCM_SHA384")
        );
    }

    #[test]
    fn files_that_cannot_be_read_are_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [Path::new("/nowhere/ca.pem"), file.path()] {
            let config = TlsConfig {
                verify: Some(TlsVerify::File(path.to_owned())),
                ..TlsConfig::default()
            };
            let error = Tls::new(Some(&config), None).err().unwrap();
            assert_eq!(error.param(), Some("network.tls.verify"));
            assert!(error.message().contains(&path.display().to_string()), "{error}");
        }
    }
}
