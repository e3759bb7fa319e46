//! What `upsd` answers: requests as words in, lines out. Pure but for the model's time.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use crate::codec::request::{Request, Secret};
use crate::codec::word::quote_into;
use crate::error::ErrorCode;
use crate::simulated::model::{Model, OrderError};
use crate::simulated::{Account, Driver};

/// How many verdicts are kept; the oldest is forgotten.
const VERDICTS: usize = 64;

/// What the UPS is called.
const DESCRIPTION: &str = "Simulated UPS";

/// What an answer is: lines with their LFs, or a code.
type Outcome = Result<String, ErrorCode>;

/// One UPS, its accounts, and who is connected.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) model: Model,
    name: String,
    accounts: Vec<Account>,
    clients: BTreeMap<u64, Visitor>,
    verdicts: VecDeque<(String, Result<(), OrderError>)>,
    orders: u64,
    is_forced: bool,
}

#[derive(Debug)]
struct Visitor {
    address: IpAddr,
    username: Option<String>,
    password: Option<Secret>,
    is_logged_in: bool,
    is_tracking: bool,
}

/// What goes back to a client.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) text: String,
    pub(super) closes: bool,
}

impl Desk {
    pub(super) fn new(model: Model, name: String, accounts: Vec<Account>) -> Self {
        Self {
            model,
            name,
            accounts,
            clients: BTreeMap::new(),
            verdicts: VecDeque::new(),
            orders: 0,
            is_forced: false,
        }
    }

    pub(super) fn enter(&mut self, client: u64, address: IpAddr) {
        let visitor = Visitor {
            address,
            username: None,
            password: None,
            is_logged_in: false,
            is_tracking: false,
        };
        self.clients.insert(client, visitor);
    }

    pub(super) fn leave(&mut self, client: u64) {
        self.clients.remove(&client);
    }

    /// Forgets what a process of `upsd` forgets when it ends.
    pub(super) fn restart(&mut self) {
        self.clients.clear();
        self.verdicts.clear();
        self.orders = 0;
        self.is_forced = false;
    }

    pub(super) fn answer(&mut self, client: u64, words: &[String]) -> Reply {
        let request = Request::decode(words);
        let closes = request == Ok(Request::Logout);
        let outcome = request.and_then(|request| self.serve(client, request));
        let text = outcome.unwrap_or_else(|code| format!("ERR {code}\n"));
        Reply { text, closes }
    }

    fn serve(&mut self, client: u64, request: Request) -> Outcome {
        match request {
            Request::Version => {
                Ok(format!("Curfew simulated upsd {}\n", env!("CARGO_PKG_VERSION")))
            }
            Request::NetworkVersion => Ok("1.3\n".to_owned()),
            Request::Logout => Ok("OK Goodbye\n".to_owned()),
            Request::ListUps => {
                Ok(framed("UPS", &format!("UPS {} \"{DESCRIPTION}\"\n", self.name)))
            }
            Request::ListVariables(ups) => self.list_variables(&ups),
            Request::ListWritables(ups) => self.list_writables(&ups),
            Request::ListCommands(ups) => self.list_commands(&ups),
            Request::ListClients(ups) => self.list_clients(&ups),
            Request::ListEnum(ups, name) => self.list_nothing("ENUM", &ups, &name),
            Request::ListRange(ups, name) => self.list_nothing("RANGE", &ups, &name),
            Request::GetVariable(ups, name) => {
                row(&["VAR", &ups, &name], &self.variable(&ups, &name)?)
            }
            Request::GetType(ups, name) => self.variable_type(&ups, &name),
            Request::GetDescription(ups, name) => self.describe("DESC", &ups, &name),
            Request::GetCommandDescription(ups, name) => self.describe("CMDDESC", &ups, &name),
            Request::GetUpsDescription(ups) => {
                self.know(&ups)?;
                row(&["UPSDESC", &ups], DESCRIPTION)
            }
            Request::GetLogins(ups) => {
                self.reach(&ups)?;
                Ok(format!("NUMLOGINS {ups} {}\n", self.logged_in().count()))
            }
            Request::GetTracking => {
                Ok(if self.visitor(client)?.is_tracking { "ON\n" } else { "OFF\n" }.to_owned())
            }
            Request::GetVerdict(id) => self.verdict(client, &id),
            Request::Username(name) => self.set_username(client, name),
            Request::Password(secret) => self.set_password(client, secret),
            Request::Login(ups) => self.log_in(client, &ups),
            Request::Primary(ups) => self.grant(client, &ups, "OK PRIMARY-GRANTED\n"),
            Request::Master(ups) => self.grant(client, &ups, "OK MASTER-GRANTED\n"),
            Request::ForceShutdown(ups) => {
                let answer = self.grant(client, &ups, "OK FSD-SET\n")?;
                self.is_forced = true;
                Ok(answer)
            }
            Request::SetTracking(on) => {
                let visitor = self.visitor(client)?;
                visitor.credentials()?;
                visitor.is_tracking = on;
                Ok("OK\n".to_owned())
            }
            Request::SetVariable(ups, name, value) => self.set(client, &ups, (&name, &value)),
            Request::RunCommand(ups, command, parameter) => {
                self.run(client, &ups, (&command, parameter.as_deref()))
            }
        }
    }

    fn list_variables(&self, ups: &str) -> Outcome {
        self.reach(ups)?;
        let variables = self.variables();
        let rows = variables.iter().map(|(name, value)| row(&["VAR", ups, name], value));
        Ok(framed(&format!("VAR {ups}"), &rows.collect::<Result<String, _>>()?))
    }

    fn list_writables(&self, ups: &str) -> Outcome {
        self.reach(ups)?;
        let variables = self.variables();
        let known = self
            .model
            .writables()
            .into_iter()
            .filter_map(|name| variables.get(name).map(|value| row(&["RW", ups, name], value)));
        Ok(framed(&format!("RW {ups}"), &known.collect::<Result<String, _>>()?))
    }

    fn list_commands(&self, ups: &str) -> Outcome {
        self.reach(ups)?;
        let rows = self.model.commands().into_iter().map(|name| format!("CMD {ups} {name}\n"));
        Ok(framed(&format!("CMD {ups}"), &rows.collect::<String>()))
    }

    /// Works without a driver, as in `upsd`.
    fn list_clients(&self, ups: &str) -> Outcome {
        self.know(ups)?;
        let rows = self.logged_in().map(|one| format!("CLIENT {ups} {}\n", one.address));
        Ok(framed(&format!("CLIENT {ups}"), &rows.collect::<String>()))
    }

    fn list_nothing(&self, kind: &str, ups: &str, name: &str) -> Outcome {
        self.variable(ups, name)?;
        Ok(framed(&format!("{kind} {ups} {name}"), ""))
    }

    fn describe(&self, kind: &str, ups: &str, name: &str) -> Outcome {
        self.know(ups)?;
        row(&[kind, ups, name], "Description unavailable")
    }

    fn variable_type(&self, ups: &str, name: &str) -> Outcome {
        self.variable(ups, name)?;
        let is_writable = self.model.writables().iter().any(|one| one.eq_ignore_ascii_case(name));
        let rights = if is_writable { "RW " } else { "" };
        Ok(format!("TYPE {ups} {name} {rights}STRING:32\n"))
    }

    fn variable(&self, ups: &str, name: &str) -> Result<String, ErrorCode> {
        self.reach(ups)?;
        let name = name.to_ascii_lowercase();
        self.variables().remove(name.as_str()).ok_or(ErrorCode::VarNotSupported)
    }

    fn logged_in(&self) -> impl Iterator<Item = &Visitor> {
        self.clients.values().filter(|visitor| visitor.is_logged_in)
    }

    /// The variables as `upsd` shows them: the FSD latch and `WAIT` are its own.
    fn variables(&self) -> BTreeMap<&'static str, String> {
        let mut variables = self.model.variables();
        if self.model.driver() == Driver::Starting {
            variables = BTreeMap::from([("ups.status", "WAIT".to_owned())]);
        }
        if self.is_forced
            && let Some(status) = variables.get_mut("ups.status")
        {
            status.insert_str(0, "FSD ");
        }
        variables
    }

    fn set_username(&mut self, client: u64, name: String) -> Outcome {
        let visitor = self.visitor(client)?;
        if visitor.username.is_some() {
            return Err(ErrorCode::AlreadySetUsername);
        }
        visitor.username = Some(name);
        Ok("OK\n".to_owned())
    }

    fn set_password(&mut self, client: u64, secret: Secret) -> Outcome {
        let visitor = self.visitor(client)?;
        if visitor.password.is_some() {
            return Err(ErrorCode::AlreadySetPassword);
        }
        visitor.password = Some(secret);
        Ok("OK\n".to_owned())
    }

    fn log_in(&mut self, client: u64, ups: &str) -> Outcome {
        if self.visitor(client)?.is_logged_in {
            return Err(ErrorCode::AlreadyLoggedIn);
        }
        self.account(client)?;
        self.know(ups)?;
        self.visitor(client)?.is_logged_in = true;
        Ok("OK\n".to_owned())
    }

    fn grant(&mut self, client: u64, ups: &str, answer: &str) -> Outcome {
        self.know(ups)?;
        let is_primary = self.account(client)?.is_primary;
        if is_primary { Ok(answer.to_owned()) } else { Err(ErrorCode::AccessDenied) }
    }

    fn set(&mut self, client: u64, ups: &str, (name, value): (&str, &str)) -> Outcome {
        self.reach(ups)?;
        if !self.account(client)?.gives_orders {
            return Err(ErrorCode::AccessDenied);
        }
        let name = name.to_ascii_lowercase();
        if !self.variables().contains_key(name.as_str()) {
            return Err(ErrorCode::VarNotSupported);
        }
        if !self.model.writables().contains(&name.as_str()) {
            return Err(ErrorCode::Readonly);
        }
        let verdict = self.model.set(&name, value);
        self.accept(client, verdict)
    }

    fn run(
        &mut self,
        client: u64,
        ups: &str,
        (command, parameter): (&str, Option<&str>),
    ) -> Outcome {
        self.reach(ups)?;
        let command = command.to_ascii_lowercase();
        if !self.model.commands().contains(&command.as_str()) {
            return Err(ErrorCode::CmdNotSupported);
        }
        if !self.account(client)?.gives_orders {
            return Err(ErrorCode::AccessDenied);
        }
        let verdict = self.model.run(&command, parameter);
        self.accept(client, verdict)
    }

    /// `OK` says only that the order was handed over; the verdict is for who tracks.
    fn accept(&mut self, client: u64, verdict: Result<(), OrderError>) -> Outcome {
        if !self.visitor(client)?.is_tracking {
            return Ok("OK\n".to_owned());
        }
        self.orders += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.orders);
        if self.verdicts.len() >= VERDICTS {
            self.verdicts.pop_front();
        }
        self.verdicts.push_back((id.clone(), verdict));
        Ok(format!("OK TRACKING {id}\n"))
    }

    fn verdict(&mut self, client: u64, id: &str) -> Outcome {
        if !self.visitor(client)?.is_tracking {
            return Err(ErrorCode::FeatureNotConfigured);
        }
        match self.verdicts.iter().find(|(known, _)| known == id) {
            Some((_, Ok(()))) => Ok("SUCCESS\n".to_owned()),
            Some((_, Err(OrderError::Value))) => Err(ErrorCode::InvalidArgument),
            Some((_, Err(OrderError::Unknown))) | None => Err(ErrorCode::Unknown),
        }
    }

    fn visitor(&mut self, client: u64) -> Result<&mut Visitor, ErrorCode> {
        self.clients.get_mut(&client).ok_or(ErrorCode::AccessDenied)
    }

    fn account(&mut self, client: u64) -> Result<&Account, ErrorCode> {
        let (username, password) = self
            .clients
            .get(&client)
            .map_or_else(|| Err(ErrorCode::AccessDenied), |visitor| visitor.credentials())?;
        let fits = |account: &&Account| {
            account.credentials.username == *username && account.credentials.password == *password
        };
        self.accounts.iter().find(fits).ok_or(ErrorCode::AccessDenied)
    }

    fn know(&self, ups: &str) -> Result<(), ErrorCode> {
        if ups.eq_ignore_ascii_case(&self.name) { Ok(()) } else { Err(ErrorCode::UnknownUps) }
    }

    /// Knows the UPS, and its driver gives news.
    fn reach(&self, ups: &str) -> Result<(), ErrorCode> {
        self.know(ups)?;
        match self.model.driver() {
            Driver::Running | Driver::Starting => Ok(()),
            Driver::Stale => Err(ErrorCode::DataStale),
            Driver::Away => Err(ErrorCode::DriverNotConnected),
        }
    }
}

impl Visitor {
    fn credentials(&self) -> Result<(&String, &Secret), ErrorCode> {
        let username = self.username.as_ref().ok_or(ErrorCode::UsernameRequired)?;
        let password = self.password.as_ref().ok_or(ErrorCode::PasswordRequired)?;
        Ok((username, password))
    }
}

/// Puts rows between BEGIN and END.
fn framed(query: &str, rows: &str) -> String {
    format!("BEGIN LIST {query}\n{rows}END LIST {query}\n")
}

/// Renders names bare and the value in quotes, as `upsd` does.
fn row(names: &[&str], value: &str) -> Outcome {
    let mut line = names.join(" ");
    line.push(' ');
    quote_into(&mut line, value).map_err(|_unprintable| ErrorCode::InvalidValue)?;
    line.push('\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::codec::answer::Collector;
    use crate::simulated::SimulatedConfig;

    fn desk() -> Desk {
        let config = SimulatedConfig::default();
        let mut desk = Desk::new(Model::new(&config), config.name, Vec::new());
        desk.enter(1, Ipv4Addr::LOCALHOST.into());
        desk
    }

    fn word() -> impl Strategy<Value = String> {
        let keyword = proptest::sample::select(vec![
            "LIST", "GET", "SET", "VAR", "RW", "CMD", "CLIENT", "UPS", "TRACKING", "eaton",
        ]);
        prop_oneof![3 => keyword.prop_map(str::to_owned), 1 => "[ -~]{0,9}"]
    }

    proptest! {
        #[test]
        fn every_request_is_answered_and_our_client_understands_the_answer(
            words in proptest::collection::vec(word(), 0..6),
        ) {
            let reply = desk().answer(1, &words);
            prop_assert!(reply.text.ends_with('\n'));
            let Ok(request) = Request::decode(&words) else {
                prop_assert!(reply.text.starts_with("ERR "));
                return Ok(());
            };
            // A name with a blank is repeated bare, by upsd as well: the client must notice.
            let is_plain = |name: &&str| !name.is_empty() && !name.contains([' ', '"', '\\']);
            if !request.arguments().iter().all(is_plain) {
                return Ok(());
            }
            let mut collector = Collector::new(&request);
            let mut answer = None;
            for line in reply.text.lines() {
                prop_assert!(answer.is_none(), "a line behind the answer: {line}");
                answer = collector.on_line(line).unwrap();
            }
            prop_assert!(answer.is_some(), "the answer is not complete: {}", reply.text);
        }
    }
}
