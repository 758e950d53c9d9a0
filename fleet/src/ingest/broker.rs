//! Which broker, under which name, and how it is spoken to.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rumqttc::v5::MqttOptions;
use rumqttc::v5::mqttbytes::v5::ConnectProperties;
use rumqttc::{TlsConfiguration, Transport};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sunkeep_models::wire::{MOST_BYTES, MOST_NAME, is_name};
use url::Url;

/// Longest packet that a broker may send, bytes: a message that is twice too long still comes, to be counted and
/// kept as refused. Longer ones the broker drops, as MQTT 5 has it.
const MOST_PACKET: u32 = 2 * MOST_BYTES as u32 + 1024;
/// How long the broker keeps what comes while nobody of this name is connected, s: two weeks.
const SESSION_SECONDS: u32 = 14 * 86_400;
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long a connection may take, s.
const CONNECTING_SECONDS: u64 = 20;

/// What is wrong with a broker or what was said of it.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The URL.
    #[error("--broker {url:?}: {reason}; expected mqtt://HOST:PORT or mqtts://HOST:PORT")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The options for TLS.
    #[error("{0}")]
    Tls(String),
    /// A file for TLS.
    #[error("{path}: {reason}; expected {expected}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What was read.
        reason: String,
        /// What should be there.
        expected: &'static str,
    },
    /// A name.
    #[error("--{option} {found:?}: expected 1 to {MOST_NAME} letters, digits, -, _ or .")]
    Name {
        /// Of what.
        option: &'static str,
        /// What was given.
        found: String,
    },
    /// The broker does not want this client.
    #[error("{broker}: it refuses this client: {reason}")]
    Refused {
        /// Which broker.
        broker: String,
        /// What it said.
        reason: String,
    },
    /// Two processes have one name.
    #[error("{broker}: another process has connected as {name:?}; give each a --name of its own")]
    TakenOver {
        /// Which broker.
        broker: String,
        /// The name.
        name: String,
    },
}

/// Files for TLS.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Certificates of those who may vouch for the broker, PEM.
    pub ca: Option<PathBuf>,
    /// The certificate of this client, PEM.
    pub certificate: Option<PathBuf>,
    /// Its key, PEM.
    pub key: Option<PathBuf>,
}

/// A broker.
#[derive(Debug, Clone)]
pub struct Broker {
    /// As it was given.
    pub url: String,
    /// Name of this client: the broker keeps messages for it.
    pub name: String,
    /// What is subscribed to.
    pub filter: String,
    /// Messages that it may send before it hears an acknowledgement.
    pub in_flight: u16,
    host: String,
    port: u16,
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl Broker {
    /// Of an URL, for a client of this name in a group that shares the messages.
    pub fn new(url: &str, name: &str, group: &str, in_flight: u16, tls: &Tls) -> Result<Self, BrokerError> {
        let refused = |reason: &str| BrokerError::Url { url: url.into(), reason: reason.into() };
        let parsed = Url::parse(url).map_err(|error| refused(&error.to_string()))?;
        let (secure, port) = match parsed.scheme() {
            "mqtt" => (false, 1883),
            "mqtts" => (true, 8883),
            _ => return Err(refused("not a scheme that is known")),
        };
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(refused(
                "a password here could be read by everybody on this machine; use certificates",
            ));
        }
        let host = parsed.host_str().filter(|host| !host.is_empty()).ok_or_else(|| refused("no host"))?;
        if !matches!(parsed.path(), "" | "/") || parsed.query().is_some() {
            return Err(refused("something follows the port"));
        }
        for (option, found) in [("name", name), ("group", group)] {
            if !is_name(found) {
                return Err(BrokerError::Name { option, found: found.into() });
            }
        }
        Ok(Self {
            url: url.into(),
            name: name.into(),
            filter: format!("$share/{group}/sunkeep/v1/+/up/+"),
            in_flight,
            host: host.into(),
            port: parsed.port().unwrap_or(port),
            tls: tls.configuration(secure)?.map(Arc::new),
        })
    }

    /// How a client connects that says something and goes again: the broker keeps nothing for it.
    pub(crate) fn once(&self) -> MqttOptions {
        let mut options = MqttOptions::new(&self.name, &self.host, self.port);
        options.set_keep_alive(KEEP_ALIVE).set_connection_timeout(CONNECTING_SECONDS).set_clean_start(true);
        if let Some(tls) = &self.tls {
            options.set_transport(Transport::Tls(TlsConfiguration::Rustls(tls.clone())));
        }
        options
    }

    /// How the client connects.
    pub(super) fn options(&self) -> MqttOptions {
        let mut options = MqttOptions::new(&self.name, &self.host, self.port);
        let mut properties = ConnectProperties::new();
        properties.session_expiry_interval = Some(SESSION_SECONDS);
        properties.receive_maximum = Some(self.in_flight);
        properties.max_packet_size = Some(MOST_PACKET);
        options
            .set_keep_alive(KEEP_ALIVE)
            .set_connection_timeout(CONNECTING_SECONDS)
            .set_clean_start(false)
            .set_manual_acks(true)
            .set_connect_properties(properties);
        if let Some(tls) = &self.tls {
            options.set_transport(Transport::Tls(TlsConfiguration::Rustls(tls.clone())));
        }
        options
    }
}

impl Tls {
    fn configuration(&self, secure: bool) -> Result<Option<rustls::ClientConfig>, BrokerError> {
        let wrong = |reason: &str| Err(BrokerError::Tls(reason.into()));
        match (secure, &self.ca, &self.certificate, &self.key) {
            (false, None, None, None) => Ok(None),
            (false, ..) => wrong("--ca, --certificate and --key are for mqtts://, and --broker is mqtt://"),
            (true, None, ..) => wrong("mqtts:// needs --ca FILE: who vouches for the broker"),
            (true, Some(ca), None, None) => secured(ca, None).map(Some),
            (true, Some(ca), Some(certificate), Some(key)) => {
                secured(ca, Some((certificate.as_path(), key.as_path()))).map(Some)
            }
            (true, ..) => wrong("--certificate and --key go together; one of them is missing"),
        }
    }
}

fn secured(ca: &Path, client: Option<(&Path, &Path)>) -> Result<rustls::ClientConfig, BrokerError> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).map_err(refused(ca, "certificates of an authority in PEM"))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| BrokerError::Tls(error.to_string()))?.with_root_certificates(roots);
    let Some((certificate, key)) = client else { return Ok(builder.with_no_client_auth()) };
    let expected = "a private key in PEM";
    let secret = PrivateKeyDer::from_pem_file(key).map_err(refused(key, expected))?;
    let expected = "a key that fits the certificate";
    builder.with_client_auth_cert(certificates(certificate)?, secret).map_err(refused(key, expected))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, BrokerError> {
    let expected = "certificates in PEM";
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(refused(path, expected))?;
    if read.is_empty() {
        return Err(refused(path, expected)("no certificate"));
    }
    Ok(read)
}

fn refused<E: ToString>(path: &Path, expected: &'static str) -> impl Fn(E) -> BrokerError {
    move |error| BrokerError::File { path: path.into(), reason: error.to_string(), expected }
}
