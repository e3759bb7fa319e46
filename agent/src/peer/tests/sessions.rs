//! Agents that talk to each other, and operators that command them.

use curfew_coordinator::{Command, Phase};

use super::*;

#[tokio::test]
async fn a_pair_talks_both_ways() {
    let authority = Authority::new();
    let (mut a, mut b) = pair(&authority).await;
    a.opened("nfs").await;
    b.opened("k8s-1").await;
    let heard = a.heard(|_| true).await;
    assert_eq!(heard.host.as_str(), "nfs");
    assert_eq!(heard.owed, full("nfs").owed);
    assert!(a.status.borrow().open.contains_key(&HostName::from("nfs")));
}

#[tokio::test]
async fn a_change_is_told_at_once_and_the_newest_only() {
    let authority = Authority::new();
    let (mut a, mut b) = pair(&authority).await;
    a.opened("nfs").await;
    b.opened("k8s-1").await;
    b.heard(|_| true).await;
    for sequence in 100..=150 {
        let mut next = outgoing("k8s-1");
        next.message.sequence = sequence;
        next.message.phase = Phase::Stopping;
        a.state.send_replace(Some(Arc::new(next)));
    }
    let first = b.heard(|message| message.sequence >= 100).await;
    assert_eq!(first.sequence, 150, "older states were queued");
    assert_eq!(first.phase, Phase::Stopping);
}

#[tokio::test]
async fn what_does_not_change_is_told_again_older_and_with_less_time_left() {
    let authority = Authority::new();
    let (mut a, b) = pair(&authority).await;
    let sent = b.state.borrow().clone().unwrap().message.clone();
    let first = a.heard(|_| true).await;
    let second = a.heard(|_| true).await;
    let left = |message: &StateMessage| message.shutdown.as_ref().unwrap().time_left.unwrap();
    let age = |message: &StateMessage| message.reading.as_ref().unwrap().age;
    assert!(left(&first) <= left(&sent));
    assert!(left(&second) + Duration::from_millis(800) <= left(&first));
    assert!(age(&second) >= age(&first) + Duration::from_millis(800));
}

#[tokio::test]
async fn the_end_of_a_peer_is_noticed_at_once() {
    let authority = Authority::new();
    let (mut a, mut b) = pair(&authority).await;
    a.opened("nfs").await;
    b.opened("k8s-1").await;
    drop(b);
    // Well before silence would be noticed.
    timeout(Duration::from_secs(2), a.closed("nfs")).await.expect("closed at once");
    assert!(a.status.borrow().open.is_empty());
}

#[tokio::test]
async fn a_peer_that_comes_back_is_heard_again() {
    let authority = Authority::new();
    let (a, b) = (Place::new("k8s-1").await, Place::new("nfs").await);
    let (to_a, to_b) = (a.address(), b.address());
    let (pki_a, pki_b) = (authority.host("k8s-1"), authority.host("nfs"));
    let mut a = a.start(&pki_a, vec![to_b.clone()]);
    let b = b.start(&pki_b, vec![to_a.clone()]);
    a.opened("nfs").await;
    drop(b);
    a.closed("nfs").await;
    let listener = within(async {
        loop {
            match TcpListener::bind(to_b.address).await {
                Ok(listener) => return listener,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    let _b = Place { name: "nfs", listener }.start(&pki_b, vec![to_a]);
    a.opened("nfs").await;
}

#[tokio::test]
async fn an_operator_is_obeyed_and_answered() {
    let authority = Authority::new();
    let (mut a, _b) = pair(&authority).await;
    let address = a.address;
    let pki = authority.operator("ann");
    a.opened("nfs").await;
    let ordered = OperatorCommand::Coordinator(Command::Shutdown {
        operator: String::new(),
        then_wake: true,
    });
    let host = HostName::from("k8s-1");
    let (answer, ()) = tokio::join!(
        within(command(address, Some(&host), &pki, &ordered)),
        a.event(|event| {
            let PeerEvent::CommandReceived { operator, command, reply } = event else {
                return None;
            };
            assert_eq!(operator, "ann");
            let expected = Command::Shutdown { operator: "ann".to_owned(), then_wake: true };
            assert_eq!(command, OperatorCommand::Coordinator(expected));
            let answer = CommandAnswer {
                is_accepted: true,
                sentence: "shutdown 1 is declared".to_owned(),
                ..CommandAnswer::default()
            };
            reply.send(answer).unwrap();
            Some(())
        })
    );
    let answer = answer.unwrap();
    assert!(answer.is_accepted);
    assert_eq!(answer.sentence, "shutdown 1 is declared");
}

#[tokio::test]
async fn a_command_that_the_app_drops_is_answered_as_busy() {
    let authority = Authority::new();
    let (mut a, _b) = pair(&authority).await;
    let address = a.address;
    let pki = authority.operator("ann");
    a.opened("nfs").await;
    let (answer, ()) = tokio::join!(
        within(command(address, None, &pki, &OperatorCommand::GetStatus)),
        a.event(|event| matches!(event, PeerEvent::CommandReceived { .. }).then_some(()))
    );
    let error = answer.unwrap_err().to_string();
    assert!(error.contains("before you repeat it"), "{error}");
}
