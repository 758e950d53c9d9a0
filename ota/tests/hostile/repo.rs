//! A repository as operators make it, with a place to put a lie into each document, and a client that reads it.

use std::collections::{BTreeMap, BTreeSet};

use sunkeep_ota::json::Json;
use sunkeep_ota::limits::Limits;
use sunkeep_ota::reason::{Reason, Refusal};
use sunkeep_ota::sign::documents::{self, DelegationSpec, RoleSpec, Stamp, object, text};
use sunkeep_ota::sign::key::SecretKey;
use sunkeep_ota::time::{LowerBound, Utc};
use sunkeep_ota::tuf::document::Kind;
use sunkeep_ota::tuf::name::TargetName;
use sunkeep_ota::tuf::refresh::{Answer, Refresh, Want};
use sunkeep_ota::tuf::search::Search;
use sunkeep_ota::tuf::targets::Target;
use sunkeep_ota::tuf::trusted::Trusted;

/// 2026-11-21: "now" of these tests.
pub const NOW: i64 = 1_795_219_200;
pub const DAY: i64 = 86_400;
pub const MODEL: &str = "models/load-7";
pub const MODEL_BYTES: &[u8] = b"weights of a load model";

pub type Members = BTreeMap<String, Json>;
pub type Files = BTreeMap<String, Vec<u8>>;

pub fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

pub fn now() -> LowerBound {
    LowerBound(Utc(NOW))
}

#[derive(Clone)]
pub struct RoleState {
    pub version: u64,
    pub expires: i64,
    /// Keys that the root lists.
    pub keys: Vec<u8>,
    pub threshold: u64,
    /// Keys that sign.
    pub signers: Vec<u8>,
}

#[derive(Clone)]
pub struct Delegated {
    pub state: RoleState,
    pub targets: Members,
    pub delegations: Vec<DelegationSpec>,
}

#[derive(Clone)]
pub struct Repo {
    pub roles: BTreeMap<Kind, RoleState>,
    pub issued: i64,
    pub targets: Members,
    pub delegations: Vec<DelegationSpec>,
    pub delegated: BTreeMap<String, Delegated>,
    /// By path, as a server would hand them out.
    pub files: Files,
}

pub type Lie<'a> = &'a dyn Fn(Kind, &mut Members);

impl Repo {
    /// One model, one key a role but the root's two of three; version 1 of all.
    pub fn new() -> Self {
        let state = |keys: &[u8], threshold, days| RoleState {
            version: 1,
            expires: NOW + days * DAY,
            keys: keys.to_vec(),
            threshold,
            signers: keys[..threshold as usize].to_vec(),
        };
        let roles = BTreeMap::from([
            (Kind::Root, state(&[1, 2, 3], 2, 365)),
            (Kind::Timestamp, state(&[10], 1, 30)),
            (Kind::Snapshot, state(&[11], 1, 60)),
            (Kind::Targets, state(&[12], 1, 180)),
        ]);
        let mut repo = Self {
            roles,
            issued: NOW - DAY,
            targets: BTreeMap::from([(MODEL.to_owned(), documents::target(MODEL_BYTES, Some(custom(7))))]),
            delegations: Vec::new(),
            delegated: BTreeMap::new(),
            files: Files::new(),
        };
        repo.publish_all();
        repo
    }

    pub fn role(&mut self, kind: Kind) -> &mut RoleState {
        self.roles.get_mut(&kind).unwrap()
    }

    /// A client that has read the repository as it is.
    pub fn client(&self) -> Trusted {
        let trusted = Trusted::begin(&self.files["1.root.json"], &Limits::default()).unwrap();
        let (trusted, result) = refresh(trusted, &self.files, now());
        result.unwrap();
        trusted
    }

    fn stamp(&self, state: &RoleState) -> Stamp {
        Stamp { version: state.version, issued: Utc(self.issued), expires: Utc(state.expires) }
    }

    pub fn sign(signed: &Json, signers: &[u8]) -> Vec<u8> {
        let keys: Vec<SecretKey> = signers.iter().map(|number| key(*number)).collect();
        documents::envelope(signed, &keys.iter().collect::<Vec<_>>()).unwrap()
    }

    fn lied(signed: Json, kind: Kind, lie: Lie<'_>) -> Json {
        let Json::Object(mut members) = signed else { unreachable!() };
        lie(kind, &mut members);
        Json::Object(members)
    }

    pub fn root_json(&self) -> Json {
        let specs: Vec<(Kind, RoleSpec)> =
            self.roles.iter().map(|(kind, state)| (*kind, spec(&state.keys, state.threshold))).collect();
        documents::root(self.stamp(&self.roles[&Kind::Root]), &specs, true)
    }

    pub fn publish_root(&mut self, lie: Lie<'_>) {
        let state = self.roles[&Kind::Root].clone();
        let signed = Self::lied(self.root_json(), Kind::Root, lie);
        self.files.insert(format!("{}.root.json", state.version), Self::sign(&signed, &state.signers));
    }

    /// All documents but the root, with a lie in each that the liar wishes.
    pub fn publish(&mut self, lie: Lie<'_>) {
        let mut meta = BTreeMap::new();
        for (name, role) in &self.delegated.clone() {
            let signed = documents::targets(self.stamp(&role.state), role.targets.clone(), &role.delegations);
            let bytes = Self::sign(&signed, &role.state.signers);
            meta.insert(name.clone(), documents::meta_file(role.state.version, &bytes));
            self.files.insert(format!("{}.{name}.json", role.state.version), bytes);
        }
        let state = self.roles[&Kind::Targets].clone();
        let signed = documents::targets(self.stamp(&state), self.targets.clone(), &self.delegations);
        let bytes = Self::sign(&Self::lied(signed, Kind::Targets, lie), &state.signers);
        meta.insert("targets".to_owned(), documents::meta_file(state.version, &bytes));
        self.files.insert(format!("{}.targets.json", state.version), bytes);

        let state = self.roles[&Kind::Snapshot].clone();
        let signed = documents::snapshot(self.stamp(&state), meta);
        let bytes = Self::sign(&Self::lied(signed, Kind::Snapshot, lie), &state.signers);
        let file = documents::meta_file(state.version, &bytes);
        self.files.insert(format!("{}.snapshot.json", state.version), bytes);

        let state = self.roles[&Kind::Timestamp].clone();
        let signed = documents::timestamp(self.stamp(&state), file);
        let bytes = Self::sign(&Self::lied(signed, Kind::Timestamp, lie), &state.signers);
        self.files.insert("timestamp.json".to_owned(), bytes);
    }

    fn publish_all(&mut self) {
        self.publish_root(&|_, _| ());
        self.publish(&|_, _| ());
    }

    /// The next honest release of everything but the root.
    pub fn release(&mut self) {
        self.release_with(&|_, _| ());
    }

    pub fn release_with(&mut self, lie: Lie<'_>) {
        for kind in [Kind::Timestamp, Kind::Snapshot, Kind::Targets] {
            self.role(kind).version += 1;
        }
        for role in self.delegated.values_mut() {
            role.state.version += 1;
        }
        self.publish(lie);
    }

    /// The next root, honestly signed by the signers of now.
    pub fn next_root(&mut self) {
        self.role(Kind::Root).version += 1;
        self.publish_root(&|_, _| ());
    }

    /// Adds a role, whose keys are `keys`, with one target, under `parent` ("targets" or another one).
    pub fn delegate(&mut self, parent: &str, name: &str, paths: &[&str], keys: &[u8], targets: Members) {
        let delegation = DelegationSpec {
            name: name.to_owned(),
            role: spec(keys, 1),
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            terminating: false,
        };
        match self.delegated.get_mut(parent) {
            Some(parent) => parent.delegations.push(delegation),
            None => self.delegations.push(delegation),
        }
        let state = RoleState {
            version: 1,
            expires: NOW + 90 * DAY,
            keys: keys.to_vec(),
            threshold: 1,
            signers: keys.to_vec(),
        };
        self.delegated.entry(name.to_owned()).or_insert(Delegated {
            state,
            targets,
            delegations: Vec::new(),
        });
    }
}

pub fn spec(keys: &[u8], threshold: u64) -> RoleSpec {
    let keys: Vec<SecretKey> = keys.iter().map(|number| key(*number)).collect();
    RoleSpec::of(&keys.iter().collect::<Vec<_>>(), threshold)
}

/// What is signed about a load model.
pub fn custom(release: u64) -> Json {
    object([
        ("payload", text("model")),
        ("channel", text("load")),
        ("release", documents::number(release)),
        ("hardware", Json::List(vec![text("rpi3"), text("rpi4")])),
    ])
}

/// Reads a repository to the end of a refresh; what is trusted then, and how it ended.
pub fn refresh(trusted: Trusted, files: &Files, time: LowerBound) -> (Trusted, Result<(), Refusal>) {
    let mut refresh = Refresh::begin(trusted, Limits::default(), time);
    while let Some(want) = refresh.want() {
        if let Err(refusal) = refresh.take(answer(files, &want)) {
            assert_eq!(refresh.want(), None, "a refusal ends the refresh");
            return (refresh.into_trusted(), Err(refusal));
        }
    }
    (refresh.into_trusted(), Ok(()))
}

/// As a transport that stops at the cap, plus one byte by which it sees that there is more.
pub fn answer<'a>(files: &'a Files, want: &Want) -> Answer<'a> {
    files
        .get(&want.path())
        .map_or(Answer::Missing, |bytes| Answer::Bytes(&bytes[..bytes.len().min(want.cap + 1)]))
}

/// Searches a target; also the roles that were asked for.
pub fn search(
    trusted: &Trusted,
    files: &Files,
    name: &str,
    time: LowerBound,
) -> (Vec<String>, Result<Target, Refusal>) {
    let mut asked = Vec::new();
    let found = TargetName::parse(name).and_then(|name| {
        let mut search = Search::begin(trusted, Limits::default(), time, name)?;
        while let Some(want) = search.want() {
            asked.push(want.role.clone());
            search.take(answer(files, &want))?;
        }
        search.target()
    });
    (asked, found)
}

/// Reads a hostile repository and holds what "refuse without harm" means for metadata: this reason, the targets
/// and the root as they were, no floor lowered, the model still to be found, and the next honest release
/// taken without anybody's help.
pub fn refused(honest: &Repo, hostile: &Files, reason: Reason) -> Refusal {
    refused_at(honest, hostile, reason, now())
}

pub fn refused_at(honest: &Repo, hostile: &Files, reason: Reason, time: LowerBound) -> Refusal {
    let before = honest.client();
    let (after, result) = refresh(before.clone(), hostile, time);
    let refusal = result.expect_err("a hostile repository was taken");
    assert_eq!(refusal.reason, reason, "{refusal}");
    assert_eq!(after.bytes(Kind::Targets), before.bytes(Kind::Targets), "{refusal}");
    assert_eq!(after.bytes(Kind::Root), before.bytes(Kind::Root), "{refusal}");
    assert!(after.floors().timestamp >= before.floors().timestamp);
    assert!(after.floors().snapshot >= before.floors().snapshot);
    let roles: BTreeSet<_> = before.floors().targets.keys().collect();
    assert!(roles.iter().all(|role| after.floors().targets[*role] >= before.floors().targets[*role]));
    recovers(honest, after);
    refusal
}

/// A later honest release is taken.
pub fn recovers(honest: &Repo, client: Trusted) {
    let mut honest = honest.clone();
    for kind in [Kind::Timestamp, Kind::Snapshot, Kind::Targets] {
        honest.role(kind).version += 10;
    }
    honest.publish(&|_, _| ());
    let (client, result) = refresh(client, &honest.files, now());
    result.expect("the next honest release was not taken");
    assert_eq!(client.version(Kind::Targets), Some(honest.roles[&Kind::Targets].version));
}
