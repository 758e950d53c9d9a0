//! The same queries on a Ballista cluster of three processes: a scheduler and two executors. Each is this
//! test's own program, started anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "lake/files.rs"]
mod files;

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ballista_core::config::TaskSchedulingPolicy;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::start_server;
use files::{
    MINUTE, Record, SLOT, START, make, records, request, slots, tables, write_corrections, write_lake,
};
use sunkeep_lake::Request;

/// Says to a program of these tests that it is a node: `scheduler PORT` or `executor PORT SCHEDULER FOLDER`.
const NODE: &str = "SUNKEEP_TEST_NODE";

/// A process that ends with its owner.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Node {
    fn start(what: &str) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "node", "--ignored", "--nocapture"])
            .env(NODE, what)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn();
        Self(child.unwrap())
    }
}

/// A port that nobody has.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
#[ignore = "the body of the processes that the other test starts"]
fn node() {
    let Ok(what) = std::env::var(NODE) else { return };
    let words: Vec<&str> = what.split(' ').collect();
    let number = |place: usize| words[place].parse::<u16>().unwrap();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    // Plans are walked by recursion, whose frames are large where nothing is optimised.
    let runtime = runtime.worker_threads(2).thread_stack_size(16 << 20).enable_all().build().unwrap();
    match words[0] {
        "scheduler" => {
            let config = SchedulerConfig {
                bind_port: number(1),
                scheduling_policy: TaskSchedulingPolicy::PullStaged,
                ..SchedulerConfig::default()
            };
            runtime.block_on(async {
                let cluster = BallistaCluster::new_from_config(&config).await.unwrap();
                let address = format!("127.0.0.1:{}", config.bind_port).parse().unwrap();
                start_server(cluster, address, Arc::new(config)).await.unwrap();
            });
        }
        _ => {
            let config = ExecutorProcessConfig {
                port: number(1),
                grpc_port: port(),
                scheduler_host: "127.0.0.1".into(),
                scheduler_port: number(2),
                external_host: Some("127.0.0.1".into()),
                task_scheduling_policy: TaskSchedulingPolicy::PullStaged,
                work_dir: Some(words[3].into()),
                vcores: 2,
                scheduler_connect_timeout_seconds: 30,
                ..ExecutorProcessConfig::default()
            };
            runtime.block_on(start_executor_process(Arc::new(config))).unwrap();
        }
    }
}

#[test]
fn a_cluster_gives_the_tables_of_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let mut all: Vec<Record> = ["a", "b", "c", "d"]
        .into_iter()
        .flat_map(|site| records(site, START, 6 * 144, 10 * MINUTE))
        .collect();
    let repeated: Vec<Record> = all.iter().step_by(7).cloned().collect();
    for record in &mut all[..400] {
        record.wall = None;
    }
    all[1000].load = Some(-3.0);
    all[1500].throttled = Some(true);
    let boot = all[0].clone();
    write_lake(&lake, &[all, repeated].concat());
    write_corrections(&lake, &[(&boot, START, 1000)]);
    let (scheduler, executors) = (port(), [port(), port()]);
    let _scheduler = Node::start(&format!("scheduler {scheduler}"));
    let work = |number: usize| {
        let work = folder.path().join(format!("executor-{number}"));
        std::fs::create_dir_all(&work).unwrap();
        work
    };
    wait(scheduler);
    let _executors: Vec<Node> = (0..2)
        .map(|number| {
            let work = work(number);
            Node::start(&format!("executor {} {scheduler} {}", executors[number], work.display()))
        })
        .collect();
    executors.into_iter().for_each(wait);
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    make(&request(&lake, &here)).unwrap();
    let on_cluster = Request {
        cluster: Some(format!("df://127.0.0.1:{scheduler}")),
        sites_per_pass: 2,
        ..request(&lake, &there)
    };
    let report = make(&on_cluster).unwrap();
    assert!(report.rows > 1000 && slots(&there).len() == 4 * 6 * 48);
    for (one, other) in tables(&here).iter().zip(tables(&there)) {
        assert!(*one == other, "{} differs on the cluster", one.0);
    }
    let files = |number: usize| std::fs::read_dir(work(number)).unwrap().count();
    assert!(files(0) > 0 && files(1) > 0, "both executors had a part in it");
    assert_eq!(SLOT % (10 * MINUTE), 0);
}

/// Waits until somebody listens.
#[expect(clippy::disallowed_methods, reason = "waits for another process")]
fn wait(port: u16) {
    for _ in 0..600 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("nobody listens on port {port}");
}
