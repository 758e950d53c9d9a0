//! A Mosquitto of a test's own, on a port that is free, and hubs that publish to it.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use tempfile::TempDir;

use crate::wait_until;

/// Publishes that a hub has under way.
const WINDOW: usize = 10;

pub struct Mosquitto {
    pub port: u16,
    folder: TempDir,
    process: Option<Child>,
}

fn is_installed() -> bool {
    let is_there = Path::new("/usr/sbin/mosquitto").exists();
    if !is_there {
        println!("skipped: no /usr/sbin/mosquitto; tests/run installs it");
    }
    is_there
}

impl Mosquitto {
    /// `None`, and a word about it, where Mosquitto is not installed.
    pub fn start(more: &str) -> Option<Self> {
        if !is_installed() {
            return None;
        }
        let folder = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text =
            format!("listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n{more}\n");
        // Started as root, it becomes another user, who writes its memory here.
        let text = text.replace(
            "PERSIST",
            &format!("persistence true\npersistence_location {}/", folder.path().display()),
        );
        fs::write(folder.path().join("conf"), format!("user root\n{text}")).unwrap();
        let mut broker = Self { port, folder, process: None };
        broker.run();
        Some(broker)
    }

    /// The broker of a fleet's folder, as `provision` has configured it for a port of localhost.
    pub fn of_fleet(fleet: &Path, port: u16) -> Option<Self> {
        if !is_installed() {
            return None;
        }
        let folder = TempDir::new().unwrap();
        let text = fs::read_to_string(fleet.join("mosquitto.conf")).unwrap();
        // Started as root, it becomes another user, who may not read the key.
        fs::write(folder.path().join("conf"), format!("user root\n{text}")).unwrap();
        let mut broker = Self { port, folder, process: None };
        broker.run();
        Some(broker)
    }

    pub fn run(&mut self) {
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let process = Command::new("/usr/sbin/mosquitto")
            .args(["-c".as_ref(), self.folder.path().join("conf").as_os_str()])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.process = Some(process.unwrap());
        let port = self.port;
        wait_until("the broker answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    }

    /// Of its process.
    pub fn id(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Ends it as a machine does that is shut down: it writes its memory to the disk.
    pub fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        crate::signal(&process, rustix::process::Signal::TERM);
        process.wait().unwrap();
    }

    /// Publishes all as one client, as a hub does: comes back when the broker has acknowledged all, and takes no
    /// acknowledgement for one that says that nobody is subscribed.
    pub fn publish(&self, name: &str, messages: &[(String, Vec<u8>)]) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut options = MqttOptions::new(name, "127.0.0.1", self.port);
            options.set_max_packet_size(Some(1 << 28)).set_keep_alive(Duration::from_secs(20));
            let (client, mut events) = AsyncClient::new(options, WINDOW);
            let mut waiting: VecDeque<usize> = (0..messages.len()).collect();
            let (mut queued, mut sent) = (VecDeque::new(), BTreeMap::new());
            while !(waiting.is_empty() && queued.is_empty() && sent.is_empty()) {
                while queued.len() + sent.len() < WINDOW {
                    let Some(next) = waiting.pop_front() else { break };
                    let (topic, payload) = &messages[next];
                    client.publish(topic, QoS::AtLeastOnce, false, payload.clone()).await.unwrap();
                    queued.push_back(next);
                }
                match events.poll().await.unwrap() {
                    Event::Outgoing(Outgoing::Publish(packet)) => {
                        sent.insert(packet, queued.pop_front().unwrap());
                    }
                    Event::Incoming(Packet::PubAck(answer)) => {
                        let message = sent.remove(&answer.pkid).unwrap();
                        if answer.reason == PubAckReason::NoMatchingSubscribers {
                            crate::rest(Duration::from_millis(50));
                            waiting.push_front(message);
                        }
                    }
                    _ => {}
                }
            }
            client.disconnect().await.unwrap();
            while events.poll().await.is_ok() {}
        });
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}
