//! The authority of a fleet: its key, what it signs, and what it has taken back.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};

use super::files::{read, write_new, write_over};
use super::{FIRST_YEAR, LAST_YEAR, ProvisionError, Years};

/// Its name in certificates.
const NAME: &str = "Sunkeep fleet";

/// A certificate with its key, PEM, and what tells it apart.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) certificate: String,
    pub(super) key: String,
    /// Hexadecimal.
    pub(super) serial: String,
}

/// Who is named in a certificate.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'a> {
    /// A broker that is reached by this name.
    Broker(&'a str),
    /// A client; the broker takes the name for that of its user.
    Client(&'a str),
}

/// The authority.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, PEM.
    pub(super) certificate: String,
    revoked: PathBuf,
}

impl Authority {
    /// Opens the authority of a folder, or makes it: `ca.pem`, `ca.key`.
    pub(super) fn open(folder: &Path, years: Years) -> Result<Self, ProvisionError> {
        let (certificate, key) = (folder.join("ca.pem"), folder.join("ca.key"));
        let revoked = folder.join("ca.crl");
        let params = params(years)?;
        if certificate.exists() && key.exists() {
            let text = read(&key)?;
            let key = KeyPair::from_pem(&text).map_err(|source| ProvisionError::Key { path: key, source })?;
            let certificate = read(&certificate)?;
            return Ok(Self { issuer: Issuer::new(params, key), certificate, revoked });
        }
        let pair = KeyPair::generate().map_err(ProvisionError::Signing)?;
        write_new(&key, 0o600, &pair.serialize_pem())?;
        let signed = params.self_signed(&pair).map_err(ProvisionError::Signing)?.pem();
        write_new(&certificate, 0o644, &signed)?;
        Ok(Self { issuer: Issuer::new(params, pair), certificate: signed, revoked })
    }

    /// Signs a certificate for a key that is made with it.
    pub(super) fn sign(&self, subject: Subject<'_>, years: Years) -> Result<Signed, ProvisionError> {
        let (name, names, purpose) = match subject {
            Subject::Broker(host) => (host, vec![host.to_owned()], ExtendedKeyUsagePurpose::ServerAuth),
            Subject::Client(name) => (name, Vec::new(), ExtendedKeyUsagePurpose::ClientAuth),
        };
        let mut params = CertificateParams::new(names).map_err(ProvisionError::Signing)?;
        params.not_before = date_time_ymd(years.first, 1, 1);
        params.not_after = date_time_ymd(years.end, 1, 1);
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![purpose];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let mut serial = [0; 16];
        getrandom::fill(&mut serial).map_err(ProvisionError::Randomness)?;
        // A positive number of full length.
        serial[0] = serial[0] & 0x7f | 0x40;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let key = KeyPair::generate().map_err(ProvisionError::Signing)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(ProvisionError::Signing)?;
        let serial = serial.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        Ok(Signed { certificate: certificate.pem(), key: key.serialize_pem(), serial })
    }

    /// Writes the list of what was taken back, for the broker: `ca.crl`.
    pub(super) fn publish_revoked(&self, serials: &[String], number: u64) -> Result<(), ProvisionError> {
        // A list that runs out would lock every hub out.
        let (this_update, next_update) = (date_time_ymd(FIRST_YEAR, 1, 1), date_time_ymd(LAST_YEAR, 1, 1));
        let revoked = serials.iter().filter_map(|serial| {
            Some(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&from_hex(serial)?),
                revocation_time: this_update,
                reason_code: None,
                invalidity_date: None,
            })
        });
        let list = CertificateRevocationListParams {
            this_update,
            next_update,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list =
            list.signed_by(&self.issuer).and_then(|list| list.pem()).map_err(ProvisionError::Signing)?;
        write_over(&self.revoked, 0o644, &list)
    }
}

fn params(years: Years) -> Result<CertificateParams, ProvisionError> {
    let mut params = CertificateParams::new(Vec::new()).map_err(ProvisionError::Signing)?;
    params.not_before = date_time_ymd(years.first, 1, 1);
    params.not_after = date_time_ymd(years.end, 1, 1);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, NAME);
    Ok(params)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pair = |place: usize| u8::from_str_radix(text.get(place..place + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}
