//! The last look at the mounts, while the host goes down.

use std::fs;
use std::path::Path;

use tokio::task::JoinSet;

use super::*;
use crate::test_directory::TestDirectory;

const ROOT: &str = "2 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
const VOLUME: &str =
    "3 2 0:50 / /mnt rw - nfs4 10.0.0.13:/b rw,clientaddr=10.0.0.11,addr=10.0.0.13\n";

#[expect(clippy::disallowed_methods, reason = "a fixture needs no fsync")]
fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

/// An eye on a table, and what it says.
fn watch_table(table: &Path, tasks: &mut JoinSet<Result<(), Infallible>>) -> (Eye, Inputs) {
    let (inputs, said) = mpsc::channel(16);
    let (shown, latest) = watch::channel(None);
    let (asked, asking) = watch::channel(0);
    let (answers, answered) = watch::channel(0);
    let eyes = OwnEyes {
        inputs: inputs.clone(),
        mounts: Mounts::new(table.to_owned()),
        servers: BTreeMap::from([("10.0.0.13".to_owned(), HostName::from("nfs"))]),
        is_blind: Arc::default(),
        sys: "/nonexistent".into(),
        pods: Asker::new(PODS_LIMIT),
        has_pods: true,
        shown: Arc::new(shown),
        asking,
        answers: Arc::new(answers),
    };
    tasks.spawn(eyes.run(CancellationToken::new()));
    (Eye { latest, asked: Arc::new(asked), answered }, Inputs { inputs, said })
}

struct Inputs {
    inputs: mpsc::Sender<Input>,
    said: mpsc::Receiver<Input>,
}

impl Inputs {
    /// Returns what was said of the mounts since the last time.
    fn mounts(&mut self) -> Vec<Option<BTreeSet<HostName>>> {
        let mut all = Vec::new();
        while let Ok(input) = self.said.try_recv() {
            if let Input::Fact(Event::MountsRead(mounts)) = input {
                all.push(mounts);
            }
        }
        all
    }
}

#[tokio::test]
async fn what_is_so_at_the_end_is_known_before_the_last_state_is_told() {
    let folder = TestDirectory::new();
    let table = folder.path().join("mountinfo");
    write(&table, &format!("{ROOT}{VOLUME}"));
    let mut tasks = JoinSet::new();
    let (eye, mut inputs) = watch_table(&table, &mut tasks);
    eye.latest().wait_for(Option::is_some).await.unwrap();
    assert_eq!(inputs.mounts(), [Some(BTreeSet::from(["nfs".into()]))]);
    // The pods have stopped, and the next look is seconds away.
    write(&table, ROOT);
    eye.look_again(&inputs.inputs).await;
    assert_eq!(inputs.mounts(), [Some(BTreeSet::new())]);
    let blind = |holding: &Option<Arc<Holding>>| {
        let pods = holding.as_ref().map(|holding| holding.pods.clone());
        pods.is_some_and(|pods| pods.is_err_and(|why| why.contains("no cgroup")))
    };
    eye.latest().wait_for(blind).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_read_at_the_end_is_unknown_and_not_what_it_was_before() {
    let folder = TestDirectory::new();
    let table = folder.path().join("mountinfo");
    write(&table, ROOT);
    let mut tasks = JoinSet::new();
    let (eye, mut inputs) = watch_table(&table, &mut tasks);
    eye.latest().wait_for(Option::is_some).await.unwrap();
    assert_eq!(inputs.mounts(), [Some(BTreeSet::new())]);
    // From now on the kernel keeps its readers waiting.
    fs::remove_file(&table).unwrap();
    nix::unistd::mkfifo(&table, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let started = tokio::time::Instant::now();
    eye.look_again(&inputs.inputs).await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(inputs.mounts(), [None]);
    drop(fs::OpenOptions::new().write(true).open(&table).unwrap());
}
