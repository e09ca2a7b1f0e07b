//! Redis as it is configured: where it is, who vouches for it, and what an operator is told when it is of
//! no use.

use std::{error::Error as _, fs, io, sync::Arc};

use redis::{
    Client, ErrorKind, IntoConnectionInfo as _, RedisError, ServerErrorKind, TlsCertificates,
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use secrecy::ExposeSecret as _;

use crate::config::ClusterConfig;

/// Why Redis can't be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The URL is none.
    #[error("cluster.redis_url (REDIS_URL): {0}")]
    Url(#[from] RedisError),
    /// Nobody can be trusted by that file.
    #[error("cluster.redis_ca (REDIS_CA): `{0}` {1}")]
    Ca(String, String),
}

/// What connects to it; nothing where this node is alone.
pub(super) fn client(config: &ClusterConfig) -> Result<Option<Client>, Unusable> {
    let Some(url) = &config.redis_url else { return Ok(None) };
    // For rediss://. Fails where the process has one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = url.expose_secret().into_connection_info()?;
    // What the library is called is asked for by nobody, and is a right more.
    let settings = server.redis_settings().clone().set_skip_set_lib_name();
    let server = server.set_redis_settings(settings);
    Ok(Some(match &config.redis_ca {
        None => Client::open(server)?,
        Some(path) => {
            let root_cert = Some(trusted(path)?);
            Client::build_with_tls(server, TlsCertificates { client_tls: None, root_cert })?
        }
    }))
}

/// A file of certificates, as it is read.
fn trusted(path: &str) -> Result<Vec<u8>, Unusable> {
    let refuse = |problem: String| Unusable::Ca(path.to_owned(), problem);
    let pem = fs::read(path).map_err(|error| refuse(format!("can't be read: {error}")))?;
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| refuse(format!("is no PEM: {error}")))?;
        let added = store.add(certificate);
        added.map_err(|error| refuse(format!("has what is no certificate: {error}")))?;
    }
    if store.is_empty() {
        return Err(refuse("has no certificate".to_owned()));
    }
    Ok(pem)
}

/// What an operator is told of why there is no way to Redis.
pub(super) fn sentence(error: &RedisError) -> &'static str {
    if distrusted(error) {
        return "Redis shows a certificate that is not trusted (REDIS_CA)";
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => {
            "Redis refuses this server's user or password (REDIS_URL)"
        }
        ErrorKind::Server(ServerErrorKind::NoPerm) => {
            "Redis does not let this server's user do all that it has to (docs/operating.md)"
        }
        ErrorKind::Parse => "something answers that is no Redis (REDIS_URL)",
        _ => "Redis is away (REDIS_URL)",
    }
}

/// Whether TLS ended with what the certificate is.
fn distrusted(error: &RedisError) -> bool {
    type Shared = Arc<dyn std::error::Error + Send + Sync>;
    let shared = error.source().and_then(|source| source.downcast_ref::<Shared>());
    let inner = shared.and_then(|shared| shared.downcast_ref::<io::Error>()?.get_ref());
    matches!(
        inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()),
        Some(rustls::Error::InvalidCertificate(_))
    )
}
