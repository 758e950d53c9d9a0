//! Device files: those that are built in, those that must be refused with line and reason, and arbitrary text.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

use std::path::Path;

use proptest::prelude::*;
use sunkeep::device_file::{Catalogue, DeviceFile, RegisterType};

const HEAD: &str = "name = \"t\"\nvendor = \"t\"\nsource = \"t\"\nverified = true\n";
const LIMITS: &str = "limits = { max_registers = 10, reply_timeout_ms = 100, longest_reply_ms = 200 }\n";
const ROW: &str = "name = \"x\", function = 4, address = 1, type = \"u16\", min = 0, max = 9";

fn with_row(row: &str) -> String {
    format!("{HEAD}{LIMITS}register = [\n  {{ {row} }},\n]\n")
}

#[test]
fn every_built_in_file_is_sound() {
    let catalogue = Catalogue::load(None).unwrap();
    let keys: Vec<_> = catalogue.keys().collect();
    assert_eq!(
        keys,
        [
            "algodue_uem",
            "eastron_sdm120",
            "eastron_sdm630",
            "epever_tracer",
            "kael_energy02",
            "relay_board_8",
            "victron_gx",
            "xy_md02"
        ]
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("devices");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), keys.len(), "a file that is not built in");
    for key in keys {
        let file = catalogue.get(key).unwrap();
        assert!(!file.source.is_empty() && !file.vendor.is_empty(), "{key}");
        assert_eq!(file.verified, key != "kael_energy02");
        assert!(file.registers.iter().all(|row| row.verified == file.verified), "{key}");
        let pairs = file.registers.iter().filter(|row| row.kind == RegisterType::F32);
        assert!(pairs.clone().all(|row| row.address % 2 == 0), "{key}: floats stand at even addresses");
    }
}

/// What a shared folder of device facts says of an address, where that folder is there.
#[test]
fn built_in_files_agree_with_the_collected_facts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/devices");
    if !folder.is_dir() {
        println!("skipped: no ../shared/devices");
        return;
    }
    let catalogue = Catalogue::load(None).unwrap();
    let files = [
        ("algodue_uem", "algodue_uem.csv"),
        ("eastron_sdm120", "eastron_sdm.csv"),
        ("eastron_sdm630", "eastron_sdm.csv"),
        ("epever_tracer", "epever_tracer.csv"),
        ("kael_energy02", "kael_energy02_doubtful.csv"),
        ("victron_gx", "victron_gx.csv"),
        ("xy_md02", "xy_md02.csv"),
    ];
    let mut compared = 0;
    for (key, facts) in files {
        let facts = std::fs::read_to_string(folder.join(facts)).unwrap();
        let file = catalogue.get(key).unwrap();
        for register in file.registers.iter().filter(|row| row.address != 0x3005) {
            let fact = facts.lines().filter(|line| !line.starts_with('#')).find(|line| {
                let columns: Vec<_> = line.split(',').collect();
                let function = columns[0].split(' ').next().unwrap().trim_end_matches('?');
                let address = columns.get(1).and_then(|text| match text.strip_prefix("0x") {
                    Some(hex) => u16::from_str_radix(hex, 16).ok(),
                    None => text.parse().ok(),
                });
                function.split('|').any(|code| code == register.function.code().to_string())
                    && address == Some(register.address)
            });
            let fact: Vec<_> = fact
                .unwrap_or_else(|| panic!("{key}: {} is in no source", register.name))
                .split(',')
                .collect();
            let kind = match register.kind {
                RegisterType::U16 => "uint16",
                RegisterType::I16 => "int16",
                RegisterType::U32 => "uint32",
                RegisterType::I32 => "int32",
                RegisterType::F32 => "float32",
                RegisterType::U64 => "uint64",
                RegisterType::Bit => "bit",
            };
            let plain = ["bitfield16", "bcdless16"].contains(&fact[3]) && kind == "uint16";
            assert!(fact[3] == kind || plain, "{key}: {} is {}, not {kind}", register.name, fact[3]);
            if let Ok(scale) = fact[5].parse::<f64>() {
                assert_eq!(scale, register.scale, "{key}: {}", register.name);
            }
            let order = if fact[4] == "low_first" { "LowFirst" } else { "HighFirst" };
            assert_eq!(format!("{:?}", register.word_order), order, "{key}: {}", register.name);
            compared += 1;
        }
    }
    println!("{compared} registers compared");
    assert!(compared > 100, "{compared}");
}

#[test]
fn what_breaks_a_rule_is_refused_with_its_line() {
    let limits = |text: &str| format!("{HEAD}limits = {{ {text} }}\nregister = [\n  {{ {ROW} }},\n]\n");
    let relays = |text: &str| format!("{HEAD}{LIMITS}relays = {{ {text} }}\n");
    let cases = [
        (with_row(&format!("{ROW}, colour = 1")), "t.toml:7: unknown field `colour`"),
        (format!("colour = 1\n{}", with_row(ROW)), "t.toml:1: unknown field `colour`"),
        (with_row(&ROW.replace("u16", "u12")), "t.toml:7: unknown variant `u12`"),
        (with_row(&format!("{ROW}, scale = 0")), "t.toml:7: \"x\": scale = 0"),
        (with_row(&format!("{ROW}, scale = nan")), "t.toml:7: \"x\": scale = NaN"),
        (with_row(&ROW.replace("function = 4", "function = 6")), "t.toml:7: \"x\": function = 6"),
        (with_row(&ROW.replace("address = 1", "address = 65536")), "t.toml:7: invalid value"),
        (with_row(&ROW.replace(", max = 9", "")), "t.toml:7: \"x\": min and max are missing"),
        (with_row(&ROW.replace("max = 9", "max = -1")), "t.toml:7: \"x\": min = 0, max = -1"),
        (with_row(&ROW.replace("u16", "f32")), "t.toml:7: \"x\": word_order is missing"),
        (with_row(&ROW.replace("function = 4", "function = 1")), "function 1 reads bits"),
        (with_row(&ROW.replace("\"x\"", "\"x y\"")), "t.toml:7: name = \"x y\""),
        (
            with_row("name = \"x\", function = 4, address = 1, type = \"bit\", bit = 16"),
            "t.toml:7: \"x\": bit = 16",
        ),
        (with_row("name = \"x\", function = 4, address = 1, type = \"bit\""), "which bit of the word"),
        (
            with_row(&ROW.replace("u16", "u32\", word_order = \"high_first").replace("= 1,", "= 65535,")),
            "behind the last address",
        ),
        (
            with_row(&format!("{ROW} }},\n  {{ {}", ROW.replace("\"x\"", "\"y\""))),
            "t.toml:8: \"y\" at 0x0001 overlaps \"x\" at 0x0001",
        ),
        (
            with_row(&format!("{ROW} }},\n  {{ {}", ROW.replace("address = 1", "address = 2"))),
            "t.toml:8: a second register is called \"x\"",
        ),
        (
            limits("max_registers = 126, reply_timeout_ms = 100, longest_reply_ms = 200"),
            "t.toml:5: a largest",
        ),
        (limits("max_registers = 10, reply_timeout_ms = 0, longest_reply_ms = 200"), "reply_timeout_ms = 0"),
        (
            limits("max_registers = 10, reply_timeout_ms = 100, longest_reply_ms = 99"),
            "longest_reply_ms = 99",
        ),
        (relays("count = 0, read_function = 1, write_function = 5"), "t.toml:6: count = 0"),
        (relays("count = 8, read_function = 3, write_function = 5"), "read_function = 3"),
        (relays("count = 8, read_function = 1, write_function = 6"), "write_function = 6"),
        (format!("{HEAD}{LIMITS}"), "neither a register nor relays"),
        ("name = ".into(), "t.toml:1: "),
    ];
    for (text, expected) in cases {
        let error = DeviceFile::parse("t", &text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}\nexpected: {expected}\n{text}");
    }
    DeviceFile::parse("t", &with_row(ROW)).unwrap();
}

#[test]
fn a_folder_adds_and_overrides() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("my_meter.toml"), with_row(ROW)).unwrap();
    std::fs::write(folder.path().join("xy_md02.toml"), with_row(ROW)).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "not a device").unwrap();
    let catalogue = Catalogue::load(Some(folder.path())).unwrap();
    assert_eq!(catalogue.keys().count(), 8 + 1);
    assert_eq!(catalogue.get("my_meter").unwrap().name, "t");
    assert_eq!(catalogue.get("xy_md02").unwrap().registers.len(), 1);

    std::fs::write(folder.path().join("bad.toml"), with_row("name = 1")).unwrap();
    let error = Catalogue::load(Some(folder.path())).unwrap_err().to_string();
    assert!(error.starts_with("bad.toml:7: "), "{error}");
    std::fs::write(folder.path().join("bad.toml"), "#".repeat(300_000)).unwrap();
    let error = Catalogue::load(Some(folder.path())).unwrap_err().to_string();
    assert!(error.contains("longer than 262144 bytes"), "{error}");
    let error = Catalogue::load(Some(&folder.path().join("absent"))).unwrap_err().to_string();
    assert!(error.starts_with("cannot read "), "{error}");
}

proptest! {
    #[test]
    fn arbitrary_text_is_refused_and_never_panics(text in "\\PC*|[a-z_= 0-9.\\[\\]{}\"\n,-]{0,200}") {
        prop_assert!(DeviceFile::parse("t", &text).is_err());
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(at in 0_usize..4000, with in "\\PC{0,3}", drop in 0_usize..20) {
        let text = include_str!("../devices/epever_tracer.toml");
        let keep = |index: usize| if text.is_char_boundary(index) { index } else { 0 };
        let (start, end) = (keep(at.min(text.len())), keep((at + drop).min(text.len())));
        let damaged = format!("{}{with}{}", &text[..start], &text[end..]);
        if let Ok(file) = DeviceFile::parse("t", &damaged) {
            for register in &file.registers {
                prop_assert!(register.scale != 0.0 && register.min < register.max);
                // Whatever the words, a value is finite and within its range, or there is none.
                for words in [[0_u16; 4], [0xFFFF; 4], [0x7FC0, 0, 0x7F80, 0x8000]] {
                    if let Ok(value) = register.value(&words) {
                        prop_assert!(value.is_finite() && (register.min..=register.max).contains(&value));
                    }
                }
            }
        }
    }
}
