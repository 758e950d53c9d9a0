//! A hub that starts with half of what it needs.

use core::time::Duration;

use sunkeep_tests::house::{ALL_OFF, House, add, set};
use sunkeep_tests::hub::{Hub, faults};
use sunkeep_tests::{now, until};

use super::HUB;

#[tokio::test]
async fn protection_acts_within_ten_seconds_without_page_network_and_journal() {
    let house = House::start(21, 0.01).await;
    // Waits as they are by default: a low voltage is held for 5 s before it counts.
    let mut table = house.table();
    let taken = std::net::TcpListener::bind(("127.0.0.1", house.page())).unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let file = house.dir().join("a file");
    std::fs::write(&file, "no folder").unwrap();
    set(&mut table, "journal", "path", file.join("journal.sqlite").display().to_string());
    let bus = |name: &str, address: String| format!("name = '{name}'\nkind = 'tcp'\naddress = '{address}'");
    add(&mut table, "bus", &bus("silent", silent.local_addr().unwrap().to_string()));
    add(&mut table, "bus", &bus("closed", "127.0.0.1:1".into()));
    // A documentation address (RFC 5737), which nobody answers at.
    add(&mut table, "bus", &bus("nowhere", "192.0.2.1:502".into()));
    for (load, bus) in ["silent", "closed", "nowhere"].into_iter().enumerate() {
        let device = format!("name = 'meter_{bus}'\nmodel = 'eastron_sdm120'\nbus = '{bus}'\nunit = 1");
        add(&mut table, "device", &device);
        let loads = table["load"].as_array_mut().unwrap();
        loads[load].as_table_mut().unwrap().insert("power".into(), format!("meter_{bus}/power").into());
    }
    let config = house.write(&table);

    let start = now();
    let hub = Hub::run(HUB, &config, house.page());
    until("protection acts", Duration::from_secs(30), async || house.coils() == ALL_OFF).await;
    let took = start.elapsed();
    println!("protection had acted {:.1} s after the start", took.as_secs_f64());
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(hub.said(&["The page cannot be served"]), 1);
    assert_eq!(hub.said(&["There is no journal"]), 1);

    drop(taken);
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    until("silent meters are told", Duration::from_secs(30), async || {
        ["silent", "closed", "nowhere"]
            .iter()
            .all(|bus| hub.said(&["is silent", &format!("device=meter_{bus}")]) == 1)
    })
    .await;
    // Page and journal come as soon as they can be had.
    until("page and journal are there", Duration::from_mins(1), async || {
        hub.view().await.is_some_and(|view| !faults(&view).iter().any(|fault| fault.contains("journal")))
    })
    .await;
    assert!(file.join("journal.sqlite").exists());
    assert_eq!(hub.said(&["is over: The page cannot be served"]), 1);
    assert_eq!(hub.said(&["is over: There is no journal"]), 1);
}
