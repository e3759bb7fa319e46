//! What is asked on a command line.

use clap::Parser as _;

use super::*;

#[derive(clap::Parser)]
struct Typed {
    #[command(flatten)]
    args: SimulateArgs,
}

fn parse(words: &str) -> Result<SimulateArgs, clap::Error> {
    let words = std::iter::once("simulate").chain(words.split_whitespace());
    Typed::try_parse_from(words).map(|typed| typed.args)
}

fn parsed(words: &str) -> SimulateArgs {
    parse(words).unwrap_or_else(|refused| panic!("{words}: {refused}"))
}

#[test]
fn a_file_that_is_named_beats_the_environment_which_beats_the_usual_one() {
    let environment = || Some(OsString::from("/of/environment.toml"));
    let path = |words: &str, it: Option<OsString>| cluster_path(&parsed(words), it);
    assert_eq!(path("--cluster a.toml", environment()), Path::new("a.toml"));
    assert_eq!(path("", environment()), Path::new("/of/environment.toml"));
    assert_eq!(path("", Some(OsString::new())), Path::new(USUAL_FILE));
    assert_eq!(path("", None), Path::new(USUAL_FILE));
}

#[test]
fn the_example_conflicts_only_with_a_file_that_is_named() {
    let command = <Typed as clap::CommandFactory>::command();
    let from_environment = command.get_arguments().filter(|arg| arg.get_env().is_some());
    let names: Vec<_> = from_environment.map(|arg| arg.get_id().as_str()).collect();
    assert_eq!(names, ["width"], "what comes from the environment conflicts as if it were typed");
    assert!(parse("--example --cluster a.toml").is_err());
    assert!(cluster(&parsed("--example")).is_ok());
}

#[test]
fn no_outages_are_refused_without_a_range() {
    for words in ["--runs 0", "--runs -1", "--runs many"] {
        let refused = parse(words).unwrap_err().to_string();
        assert!(!refused.contains("18446744073709551615"), "{refused}");
    }
    assert!(parse("--runs 0").unwrap_err().to_string().contains("at least 1"));
    assert_eq!(parsed("--runs 7").runs, Some(7));
}

#[test]
fn a_story_takes_no_option_that_would_be_ignored() {
    for option in ["--cluster a.toml", "--example", "--hangs nfs", "--runs 2", "--weather"] {
        assert!(parse(&format!("--replay story.json {option}")).is_err(), "{option}");
    }
    assert!(parse("--replay story.json --json --ascii --width 60").is_ok());
}

#[test]
fn options_of_random_outages_and_unknown_hosts_make_no_question() {
    for words in ["--example --weather", "--example --vary 3", "--example --hangs nobody"] {
        let failed = answer(&parsed(words)).unwrap_err();
        assert!(failed.downcast_ref::<UsageError>().is_some(), "{words}: {failed:#}");
    }
}

#[test]
fn a_cut_is_ignored_only_by_a_ups_that_is_told_to_cut() {
    for words in ["--example --cut-ignored", "--example --cut-ignored --returns no --runs 2"] {
        let failed = answer(&parsed(words)).unwrap_err();
        assert!(failed.downcast_ref::<UsageError>().is_some(), "{words}: {failed:#}");
        assert!(failed.to_string().contains("--returns yes"), "{failed:#}");
        let code = simulate(&parsed(words));
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(USAGE)), "{words}");
    }
    assert!(question(&parsed("--example --cut-ignored --returns yes")).is_ok());
}

#[test]
fn a_story_that_is_missing_or_bad_is_bad_configuration() {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for path in ["/nonexistent/story.json", here] {
        let code = simulate(&parsed(&format!("--replay {path}")));
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(BAD_CONFIGURATION)));
    }
}

#[test]
fn the_command_that_plays_a_run_again_survives_a_shell() {
    let words = ["simulate", "--cluster", "my cluster's.toml", "--runs", "9", "--seed=4"];
    let command = survey::replay(words.map(str::to_owned));
    assert_eq!(command, r"curfew simulate --cluster 'my cluster'\''s.toml'");
    let words = ["simulate", "--stop", "k8s-1=90s", "--at", "[::1]:9100", ""];
    let command = survey::replay(words.map(str::to_owned));
    assert_eq!(command, "curfew simulate --stop k8s-1=90s --at '[::1]:9100' ''");
}
