//! D, as far as it concerns what is taken and kept: chunks, and metadata that comes again. What a transport does
//! with its link belongs to the controller.

use sunkeep_ota::limits::Limits;
use sunkeep_ota::reason::Reason;
use sunkeep_ota::release::{Payload, Release};
use sunkeep_ota::store::Store;
use sunkeep_ota::store::chunks::{Download, Put};
use sunkeep_ota::tuf::refresh::Refresh;

use crate::card::Card;
use crate::repo::{Repo, answer, now, refused};
use crate::storage::{content, open, release};

fn store() -> Store<Card> {
    open(&Card::new(), &Repo::new()).unwrap().store
}

fn piece(counter: u64, index: u32) -> Vec<u8> {
    content(counter).chunks(256).nth(index as usize).unwrap().to_vec()
}

fn put(store: &Store<Card>, download: &mut Download, index: u32, bytes: &[u8]) -> Result<Put, Reason> {
    store.put_chunk(download, index, bytes).map_err(|refusal| refusal.reason)
}

#[test]
fn d01_d02_metadata_that_comes_again() {
    let mut repo = Repo::new();
    let old = repo.clone();
    repo.release();
    let client = repo.client();
    let mut refresh = Refresh::begin(client.clone(), Limits::default(), now());
    let mut asked = Vec::new();
    while let Some(want) = refresh.want() {
        asked.push(want.path());
        refresh.take(answer(&repo.files, &want)).unwrap();
    }
    // One question for a root, one for the timestamp: no byte beyond.
    assert_eq!(asked, ["2.root.json", "timestamp.json"]);
    assert_eq!(refresh.into_trusted(), client);
    refused(&repo, &old.files, Reason::RollbackTimestamp);
    // What changes nothing is not written; repeats of a refusal are one row with a count.
    let card = Card::new();
    let mut store = open(&card, &repo).unwrap().store;
    store.commit_refresh(&client, None).unwrap();
    let steps = card.steps();
    for _ in 0..5 {
        store.commit_refresh(&client, None).unwrap();
    }
    assert_eq!(card.steps(), steps);
    for _ in 0..5 {
        let (same, result) = crate::repo::refresh(client.clone(), &old.files, now());
        store.commit_refresh(&same, result.as_ref().err()).unwrap();
    }
    let reports: Vec<_> =
        store.state().reports.iter().map(|(reason, report)| (*reason, report.count)).collect();
    assert_eq!(reports, [(Reason::RollbackTimestamp, 5)]);
}

#[test]
fn d03_d04_d05_chunks_out_of_order_twice_and_out_of_range() {
    let store = store();
    let release = release(7, Payload::Model);
    let mut download = store.download(&release).unwrap();
    assert_eq!(download.count(), 4);
    for index in [3, 0, 2] {
        assert_eq!(put(&store, &mut download, index, &piece(7, index)), Ok(Put::New));
    }
    assert_eq!(download.bitmap(), [0b1101]);
    assert_eq!(put(&store, &mut download, 3, &piece(7, 3)), Ok(Put::Known));
    assert_eq!(put(&store, &mut download, 3, b"others"), Ok(Put::Known));
    let mut wrong = piece(7, 1);
    wrong[0] ^= 1;
    assert_eq!(put(&store, &mut download, 1, &wrong), Err(Reason::ChunkHash));
    assert_eq!(put(&store, &mut download, 1, &wrong[..255]), Err(Reason::ChunkRange));
    for index in [4, 5, u32::MAX] {
        assert_eq!(put(&store, &mut download, index, &piece(7, 3)), Err(Reason::ChunkRange));
    }
    assert_eq!(store.download(&release).unwrap(), download);
    put(&store, &mut download, 1, &piece(7, 1)).unwrap();
    assert_eq!(store.assemble(&download).unwrap(), content(7));
}

#[test]
fn d06_chunks_of_two_releases_do_not_mix() {
    let store = store();
    let (one, two) = (release(7, Payload::Model), release(8, Payload::Model));
    let (mut first, mut second) = (store.download(&one).unwrap(), store.download(&two).unwrap());
    for index in 0..4 {
        assert_eq!(put(&store, &mut first, index, &piece(8, index)), Err(Reason::ChunkHash));
        put(&store, &mut first, index, &piece(7, index)).unwrap();
        put(&store, &mut second, index, &piece(8, index)).unwrap();
    }
    assert_eq!(store.assemble(&first).unwrap(), content(7));
    assert_eq!(store.assemble(&second).unwrap(), content(8));
    // A fifth download at once is refused.
    for counter in 9..11 {
        store.download(&release(counter, Payload::Model)).unwrap();
    }
    let fifth = store.download(&release(11, Payload::Model));
    assert_eq!(fifth.unwrap_err().reason, Reason::CountCap);
    store.keep_downloads(&[two.sha256]).unwrap();
    store.download(&release(11, Payload::Model)).unwrap();
    assert_eq!(store.download(&two).unwrap().missing().count(), 0);
    assert_eq!(store.download(&one).unwrap().missing().count(), 4);
}

#[test]
fn d08_d12_what_came_before_a_drop_is_kept() {
    let card = Card::new();
    let repo = Repo::new();
    let release = release(7, Payload::Model);
    // A drop and a restart after every chunk.
    for index in 0..4 {
        let store = open(&card, &repo).unwrap().store;
        let mut download = store.download(&release).unwrap();
        assert_eq!(download.missing().next(), Some(index));
        assert_eq!(store.assemble(&download).unwrap_err().reason, Reason::OutOfOrder);
        put(&store, &mut download, index, &piece(7, index)).unwrap();
    }
    let store = open(&card, &repo).unwrap().store;
    assert_eq!(store.assemble(&store.download(&release).unwrap()).unwrap(), content(7));
    // A chunk that went bad on the card is fetched again, and it alone.
    let folder = card.files().into_iter().find(|file| file.ends_with("/000002")).unwrap();
    card.corrupt(&folder, |bytes| bytes[9] ^= 1);
    assert_eq!(store.download(&release).unwrap().missing().collect::<Vec<_>>(), [2]);
}

#[test]
fn without_signed_chunks_a_wrong_one_is_found_at_the_end() {
    let store = store();
    let whole = release(7, Payload::Model);
    let mut chunks = whole.chunks.clone();
    chunks.digests = None;
    let plain = Release { chunks, ..whole };
    let mut download = store.download(&plain).unwrap();
    for index in 0..4 {
        put(&store, &mut download, index, &piece(if index == 2 { 8 } else { 7 }, index)).unwrap();
    }
    assert_eq!(store.assemble(&download).unwrap_err().reason, Reason::ContentHash);
    assert_eq!(store.download(&plain).unwrap().missing().count(), 4);
}
