//! The stand-in as a program: commands on standard input, reports on standard output, a line each.

use std::process::ExitCode;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::handle::Standin;
use crate::report::Command;
use crate::sequence::Version;
use crate::settings::{Service, Settings, Times};

/// Runs the program until its input ends.
pub fn main() -> ExitCode {
    let settings = match settings(std::env::args().skip(1)) {
        Ok(settings) => settings,
        Err(why) => return complain(&why),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.and_then(|runtime| runtime.block_on(run(settings)));
    outcome.map_or_else(|error| complain(&error.to_string()), |()| ExitCode::SUCCESS)
}

async fn run(settings: Settings) -> std::io::Result<()> {
    let mut standin = Standin::new(settings);
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut output = tokio::io::stdout();
    loop {
        tokio::select! {
            line = lines.next_line() => {
                let Some(line) = line? else { return Ok(()) };
                match line.parse::<Command>() {
                    Ok(command) => standin.send(command).await,
                    Err(error) => say(&mut output, &format!("error: {error}")).await?,
                }
            }
            Some(report) = standin.report() => say(&mut output, &report.to_string()).await?,
        }
    }
}

async fn say(output: &mut tokio::io::Stdout, line: &str) -> std::io::Result<()> {
    output.write_all(format!("{line}\n").as_bytes()).await?;
    output.flush().await
}

#[expect(clippy::print_stderr, reason = "a program says why it cannot go on")]
fn complain(why: &str) -> ExitCode {
    eprintln!("curfew-machined: {why}\n{USAGE}");
    ExitCode::from(2)
}

fn settings(mut args: impl Iterator<Item = String>) -> Result<Settings, String> {
    let socket = args.next().ok_or("where is the socket?")?;
    let mut settings = Settings::new(socket);
    settings.service = Service::OnCri;
    while let Some(option) = args.next() {
        let value = args.next().ok_or_else(|| format!("{option} wants a value"))?;
        let number = || value.parse::<u32>().map_err(|_| format!("{value} is no number"));
        match option.as_str() {
            "--minor" => settings.version = Version::new(number()?, 0),
            "--divide-times" => settings.times = Times::talos().divided_by(number()?),
            "--sys" => settings.tree.sys = Some(value.into()),
            "--mountinfo" => settings.tree.mountinfo = Some(value.into()),
            "--pod-mount" => settings.tree.pod_mounts.push(value),
            "--service" => {
                settings.service = match value.as_str() {
                    "absent" => Service::Absent,
                    "on-cri" => Service::OnCri,
                    "alone" => Service::Alone,
                    _ => return Err(format!("{value} is no kind of service")),
                };
            }
            _ => return Err(format!("no such option: {option}")),
        }
    }
    Ok(settings)
}

const USAGE: &str = "usage: curfew-machined SOCKET [--minor N] [--divide-times N] [--sys FOLDER] \
    [--mountinfo FILE] [--pod-mount LINE]... [--service absent|on-cri|alone]";
