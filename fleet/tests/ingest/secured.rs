//! TLS: with a certificate that the broker wants, and without.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use sunkeep_models::lake::TELEMETRY;
use tempfile::TempDir;

use crate::broker::Mosquitto;
use crate::hubs::{minutes, packed, topic};
use crate::process::Ingest;
use crate::rows::identities;
use crate::wait_until;

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority, and a key and a certificate of it for each name.
fn certificates(folder: &Path, names: &[&str]) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(folder, &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"));
    for name in names {
        fs::write(folder.join("names"), format!("subjectAltName=DNS:{name}\n")).unwrap();
        openssl(folder, &format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        let signed = "-CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names";
        openssl(folder, &format!("x509 -req -in {name}.csr {signed} -out {name}.pem"));
    }
}

#[test]
fn a_broker_that_wants_a_certificate_gets_one() {
    let folder = TempDir::new().unwrap();
    certificates(folder.path(), &["localhost", "ingest"]);
    let other = TempDir::new().unwrap();
    certificates(other.path(), &["ingest"]);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let at = folder.path().display();
    let secured = format!(
        "listener {port} 127.0.0.1\ncafile {at}/ca.pem\ncertfile {at}/localhost.pem\nkeyfile {at}/localhost.key\nrequire_certificate true"
    );
    let Some(broker) = Mosquitto::start(&secured) else { return };
    let url = format!("mqtts://localhost:{port}");
    let file = |folder: &TempDir, name: &str| folder.path().join(name).display().to_string();
    let (ca, certificate, key) =
        (file(&folder, "ca.pem"), file(&folder, "ingest.pem"), file(&folder, "ingest.key"));
    let own = ["--ca", &ca, "--certificate", &certificate, "--key", &key, "--flush-seconds", "1"];
    let mut ingest = Ingest::subscribed(folder.path(), "one", &url, &own);
    broker.publish("hubs", &[(topic(1, "telemetry"), packed(minutes(1, 1, 0..5, None)))]);
    wait_until("it is filed", || identities(&folder.path().join("lake"), TELEMETRY).len() == 5);
    assert!(ingest.stop().success());

    // An authority that has nothing to do with this broker; and files that do not go together.
    let foreign = file(&other, "ca.pem");
    let cases: [(&[&str], &str); 5] = [
        (
            &["--ca", &foreign, "--certificate", &certificate, "--key", &key],
            "it refuses this client: invalid peer certificate",
        ),
        (&[], "mqtts:// needs --ca FILE"),
        (&["--ca", &ca, "--key", &key], "--certificate and --key go together"),
        (&["--ca", &key], "no certificate; expected certificates in PEM"),
        (
            &["--ca", &ca, "--certificate", &certificate, "--key", &file(&other, "ingest.key")],
            "expected a key that fits the certificate",
        ),
    ];
    for (arguments, said) in cases {
        let mut refused = Ingest::start(folder.path(), "two", &url, arguments);
        assert_eq!(refused.ended().code(), Some(1), "{arguments:?}");
        assert!(refused.log().contains(said), "{arguments:?}: {}", refused.log());
    }
    let refused = |url: &str| {
        let mut refused = Ingest::start(folder.path(), "two", url, &[]);
        assert_eq!(refused.ended().code(), Some(1));
        refused.log()
    };
    for url in [
        "http://localhost",
        "mqtt://",
        "mqtt://me:secret@localhost",
        "localhost:1883",
        "mqtt://localhost/topic",
    ] {
        assert!(refused(url).contains("expected mqtt://HOST:PORT or mqtts://HOST:PORT"), "{url}");
    }
}
