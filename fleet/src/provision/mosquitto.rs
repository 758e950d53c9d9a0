//! What Mosquitto needs to know hubs apart: a client is the user that its certificate names, and a hub may write to its
//! own topics only. What goes down is the operator's to write.

use std::path::Path;

use super::{INGEST, OPERATOR};

/// The rules, for `acl_file`.
pub(super) fn rules() -> String {
    format!(
        "# A hub is the user that its certificate names: it writes up and reads down, its own topics only.\n\
         pattern write sunkeep/v1/%u/up/#\n\
         pattern read sunkeep/v1/%u/down/#\n\n\
         user {INGEST}\n\
         topic read sunkeep/v1/+/up/#\n\n\
         # The operator's tools tell hubs something and hear what they answer.\n\
         user {OPERATOR}\n\
         topic readwrite sunkeep/v1/+/down/#\n\
         topic read sunkeep/v1/+/up/#\n"
    )
}

/// The configuration: a secured listener for hubs and ingest. It keeps what it has acknowledged.
pub(super) fn configuration(fleet: &Path, port: u16) -> String {
    let fleet = std::path::absolute(fleet).unwrap_or_else(|_| fleet.into());
    let fleet = fleet.display();
    format!(
        "# Mosquitto 2 for a fleet: mosquitto -c {fleet}/mosquitto.conf\n\
         listener {port}\n\
         cafile {fleet}/ca.pem\n\
         crlfile {fleet}/ca.crl\n\
         certfile {fleet}/broker.pem\n\
         keyfile {fleet}/broker.key\n\
         require_certificate true\n\
         use_identity_as_username true\n\
         allow_anonymous false\n\
         acl_file {fleet}/mosquitto.acl\n\
         # What is acknowledged is on the disk within ten seconds, and waits there for who reads it.\n\
         persistence true\n\
         persistence_location {fleet}/\n\
         autosave_interval 10\n\
         max_queued_messages 0\n\
         # A longer packet ends the connection before it is read.\n\
         max_packet_size 300000\n"
    )
}
