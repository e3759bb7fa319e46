//! What `systemd/lib/smart` leaves, read: fit answers, and what is none.
//!
//! The answers are written after the format of smartctl 7.3 to 7.5, with the fields that it prints
//! for `-i -H -A`; none is a recording.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::test_directory::TestDirectory;

/// A SATA hard disk that fares well.
pub(crate) const HARD_DISK: &str = r#"{"json_format_version":[1,0],"smartctl":{"version":[7,3],
"svn_revision":"5338","argv":["smartctl","--json=c"],"exit_status":0},
"local_time":{"time_t":1795381983,"asctime":"Sun Nov 22 21:13:03 2026 UTC"},
"device":{"name":"/dev/sda","info_name":"/dev/sda [SAT]","type":"sat","protocol":"ATA"},
"model_family":"Maker Model Line","model_name":"MAKER MD4000-AB","serial_number":"XY-0001",
"wwn":{"naa":5,"oui":1234,"id":987654321},"firmware_version":"82.00A82",
"user_capacity":{"blocks":7814037168,"bytes":4000787030016},"rotation_rate":5400,
"form_factor":{"ata_value":2,"name":"3.5 inches"},
"ata_version":{"string":"ACS-3 T13/2161-D revision 5","major_value":2046,"minor_value":109},
"sata_version":{"string":"SATA 3.1","value":127},"smart_support":{"available":true,"enabled":true},
"smart_status":{"passed":true},"ata_smart_attributes":{"revision":16,"table":[
{"id":5,"name":"Reallocated_Sector_Ct","value":200,"worst":200,"thresh":140,"when_failed":"",
"flags":{"value":51,"string":"PO--CK ","prefailure":true,"updated_online":true,"performance":false,
"error_rate":false,"event_count":true,"auto_keep":true},"raw":{"value":0,"string":"0"}},
{"id":194,"name":"Temperature_Celsius","value":118,"worst":95,"thresh":0,"when_failed":"",
"flags":{"value":34,"string":"-O---K "},"raw":{"value":32,"string":"32 (Min/Max 18/55)"}},
{"id":197,"name":"Current_Pending_Sector","value":200,"worst":200,"thresh":0,"when_failed":"",
"flags":{"value":50,"string":"-O--CK "},"raw":{"value":0,"string":"0"}},
{"id":198,"name":"Offline_Uncorrectable","value":100,"worst":253,"thresh":0,"when_failed":"",
"flags":{"value":48,"string":"----CK "},"raw":{"value":0,"string":"0"}}]},
"power_on_time":{"hours":31337},"power_cycle_count":42,"temperature":{"current":32}}"#;

/// An `NVMe` disk that fares well.
pub(crate) const NVME: &str = r#"{"smartctl":{"version":[7,4],"exit_status":0},
"device":{"name":"/dev/nvme0","info_name":"/dev/nvme0","type":"nvme","protocol":"NVMe"},
"model_name":"MAKER NV1000","serial_number":"NV-0001","firmware_version":"4B2QEXM7",
"smart_support":{"available":true,"enabled":true},
"smart_status":{"passed":true,"nvme":{"value":0}},
"nvme_smart_health_information_log":{"critical_warning":0,"temperature":41,"available_spare":100,
"available_spare_threshold":10,"percentage_used":3,"data_units_read":340282366920938463463374607431,
"media_errors":0,"num_err_log_entries":12,"temperature_sensors":[41,48]},
"temperature":{"current":41},"power_cycle_count":77,"power_on_time":{"hours":4000}}"#;

/// A disk behind a bridge that `smartctl` does not know.
pub(crate) const BRIDGE: &str = r#"{"smartctl":{"exit_status":1,"messages":[
{"string":"/dev/sdb: Unknown USB bridge [0x1234:0x5678 (0x100)]","severity":"error"}]}}"#;

/// Returns what a disk says, with these edits of the text.
pub(crate) fn answer(json: &str, edits: &[(&str, &str)]) -> Answer {
    let mut json = json.to_owned();
    for (from, to) in edits {
        assert!(json.contains(from), "{from} is not there");
        json = json.replacen(from, to, 1);
    }
    Answer::parse(json.as_bytes()).expect("it is an answer")
}

/// Returns a disk that says so now.
pub(crate) fn disk(name: &str, answer: Answer) -> Disk {
    Disk {
        name: name.to_owned(),
        standing: Standing::Answered,
        tried: Duration::from_mins(12),
        answered: Some(Duration::from_mins(12)),
        answer: Some(Ok(Box::new(answer))),
        rises: Vec::new(),
    }
}

/// Returns a report of these disks.
pub(crate) fn report(disks: Vec<Disk>) -> Report {
    let asked = Disks { disks, ..Disks::default() };
    Report { looked: Instant::now(), hot_above: None, sight: Sight::Asked(asked) }
}

const NOW: Duration = Duration::from_secs(20_000);
const SUMMARY: &str = "at=19900 smartctl=found virtual=vda left-out=0\n";

fn folder(files: &[(&str, &str)]) -> TestDirectory {
    let folder = TestDirectory::new();
    for (name, text) in files {
        folder.write(name, text);
    }
    folder
}

fn asked(files: &[(&str, &str)]) -> Disks {
    let folder = folder(files);
    folder.write("summary", SUMMARY);
    match file::read(folder.path(), NOW).unwrap() {
        Found::Asked(age, disks) => {
            assert_eq!(age, Duration::from_secs(100));
            disks
        }
        other @ (Found::Nothing | Found::Missing) => panic!("{other:?}"),
    }
}

#[test]
fn each_disk_is_read_with_its_age_and_what_it_says() {
    let sda = format!("at=19800 result=answered answered=19800 misses=0\n{HARD_DISK}");
    let nvme = format!("at=19900 result=standby answered=6000 misses=0\n{NVME}");
    let silent = "at=19900 result=silent misses=4\n";
    let found = asked(&[
        ("sda.disk", &sda),
        ("nvme0.disk", &nvme),
        ("sdb.disk", silent),
        ("sdc.disk", "at=19900 result=offline misses=0\n"),
        ("sdd.answer", "{}"),
        ("a b.disk", "at=1"),
        (".disk", "at=1"),
    ]);
    assert_eq!(found.without, ["vda"]);
    let names: Vec<_> = found.disks.iter().map(|disk| disk.name.as_str()).collect();
    assert_eq!(names, ["nvme0", "sda", "sdb", "sdc"]);
    let [nvme, sda, sdb, sdc] = found.disks.as_slice() else { panic!("{found:?}") };
    assert_eq!((sda.standing, sda.tried), (Standing::Answered, Duration::from_secs(200)));
    let said = sda.says().unwrap();
    assert_eq!((said.pending(), said.reallocated()), (Some(0.0), Some(0.0)));
    assert_eq!(said.temperature.current, Some(32.0));
    assert_eq!(
        (nvme.standing, nvme.answered),
        (Standing::Asleep, Some(Duration::from_secs(14_000)))
    );
    assert!(!nvme.is_fresh() && sda.is_fresh());
    assert_eq!(nvme.says().unwrap().worn(), Some(3.0));
    assert_eq!((sdb.standing, &sdb.answer), (Standing::Silent(4), &None));
    assert_eq!(sdc.standing, Standing::Offline);
}

#[test]
fn what_is_no_answer_says_why() {
    let head = "at=19900 result=answered answered=19900 misses=0\n";
    let wrong_type = HARD_DISK.replace("\"rotation_rate\":5400", "\"rotation_rate\":\"x\"");
    let deep = "[".repeat(100_000);
    for json in ["", "{", "[]", "null", "\u{0}\u{1}", "{\"smartctl\":{}}", &wrong_type, &deep] {
        let found = asked(&[("sda.disk", &format!("{head}{json}"))]);
        let answer = found.disks[0].answer.as_ref().unwrap();
        assert!(
            answer.as_ref().is_err_and(|why| why.starts_with("smartctl's answer is ")),
            "{json}"
        );
        assert_eq!(found.disks[0].says(), None);
    }
    // A garbled first line.
    for head in
        ["", "\n", "at=x result=answered\n", "at=99999999999999999999\n", "result=answered\n"]
    {
        let found = asked(&[("sda.disk", &format!("{head}{HARD_DISK}"))]);
        assert_eq!((found.disks[0].standing, found.disks[0].says()), (Standing::Unknown, None));
    }
}

#[test]
fn a_file_of_ten_megabytes_and_what_is_no_file_are_left_alone() {
    let long = format!("at=19900 result=answered answered=19900\n{}", " ".repeat(10 << 20));
    let folder = folder(&[("sda.disk", &long), ("summary", SUMMARY), ("secret", HARD_DISK)]);
    symlink(folder.path().join("secret"), folder.path().join("sdb.disk")).unwrap();
    nix::unistd::mkfifo(&folder.path().join("sdc.disk"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir(folder.path().join("sdd.disk")).unwrap();
    let Found::Asked(_, found) = file::read(folder.path(), NOW).unwrap() else { panic!() };
    let whys: Vec<_> = found
        .disks
        .iter()
        .map(|disk| (disk.standing, disk.answer.clone().unwrap().unwrap_err()))
        .collect();
    assert_eq!(whys.len(), 4);
    assert!(whys.iter().all(|(standing, _)| *standing == Standing::Unknown), "{whys:?}");
    assert!(whys[0].1.contains("too long") && whys[2].1.contains("not a file"), "{whys:?}");
}

#[test]
fn more_files_than_there_are_disks_are_counted() {
    let names: Vec<String> = (0..40).map(|number| format!("sd{number:02}.disk")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), "at=1 result=offline\n")).collect();
    let found = asked(&files);
    assert_eq!((found.disks.len(), found.left_out), (32, 8));
}

#[tokio::test]
async fn without_an_answer_it_is_known_why() {
    let empty = folder(&[]);
    let sight = async |path: PathBuf| Smart::new(path, None).look().await.sight;
    assert_eq!(sight(empty.path().join("none")).await, Sight::Unasked);
    assert_eq!(sight(empty.path().to_owned()).await, Sight::Unasked);
    let now = clock::boot_ms() / 1000;
    let summary = |text: &str| folder(&[("summary", text)]);
    let missing = summary(&format!("at={now} smartctl=missing virtual= left-out=0\n"));
    assert_eq!(sight(missing.path().to_owned()).await, Sight::Missing);
    for text in ["", "at=5\n", "smartctl=found\n", "at=5 smartctl=perhaps\n", "\u{fffd}"] {
        let sight = sight(summary(text).path().to_owned()).await;
        assert!(matches!(&sight, Sight::Unreadable(why) if why.contains("summary")), "{sight:?}");
    }
}

#[test]
fn what_was_asked_hours_ago_is_old() {
    let mut smart = Smart::new(PathBuf::new(), None);
    let old = Found::Asked(OLD_AFTER, Disks::default());
    assert_eq!(smart.sight(old, Instant::now()), Sight::Old(OLD_AFTER));
}

#[test]
fn counts_are_read_as_smartctl_reads_them_for_the_model() {
    // Some makers pack more into the same bits.
    let packed = [(
        "\"raw\":{\"value\":0,\"string\":\"0\"",
        "\"raw\":{\"value\":131077,\"string\":\"5 (2 0)\"",
    )];
    assert_eq!(answer(HARD_DISK, &packed).reallocated(), Some(5.0));
    let other = [("Current_Pending_Sector", "Total_Unc_Read_Cmplts")];
    assert_eq!(answer(HARD_DISK, &other).pending(), None);
    let wear = [(
        "\"id\":194,\"name\":\"Temperature_Celsius\",\"value\":118",
        "\"id\":177,\"name\":\"Wear_Leveling_Count\",\"value\":8",
    )];
    assert_eq!(answer(HARD_DISK, &wear).worn(), Some(92.0));
}

#[tokio::test(start_paused = true)]
async fn a_count_that_rises_is_told_for_a_week() {
    let mut rises = Rises::default();
    let errors =
        |count: u32| answer(NVME, &[("\"media_errors\":0", &format!("\"media_errors\":{count}"))]);
    let mut see = |count| rises.see("nvme0", &errors(count), Instant::now());
    assert!(see(4).is_empty(), "errors of long ago");
    assert!(see(4).is_empty());
    let rise = |from, to| [Rise { what: "media errors", from, to }];
    assert_eq!(see(6), rise(4.0, 6.0));
    tokio::time::advance(Duration::from_hours(6 * 24)).await;
    assert_eq!(see(6), rise(4.0, 6.0));
    assert_eq!(see(7), rise(4.0, 7.0));
    tokio::time::advance(Duration::from_hours(6 * 24)).await;
    assert_eq!(see(7), rise(4.0, 7.0));
    tokio::time::advance(Duration::from_hours(24)).await;
    assert!(see(7).is_empty(), "it has stood still");
    assert!(see(0).is_empty(), "another disk");
    assert_eq!(see(1), rise(0.0, 1.0));
}
