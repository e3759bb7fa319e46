//! The requests by name, with their answers as values.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::client::{Client, Credentials};
use crate::codec::answer::{Answer, AnswerError};
use crate::codec::request::Request;
use crate::error::{ClientError, ErrorCode};

/// How often the driver's verdict is asked for: a driver answers within its poll of about 2 s.
const VERDICT_INTERVAL: Duration = Duration::from_millis(200);

/// Names one order to the driver. It means something only on the connection that gave it: ids
/// repeat after each start of `upsd` 2.8.0.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrackingId(String);

/// What `upsd`'s `OK` to an order means: it handed the order to the driver, no more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Acceptance {
    /// The driver's verdict can be asked for.
    Tracked(TrackingId),
    /// Nothing more will be known: the server is too old, or tracking is off.
    Untracked,
}

/// What became of an order to the driver.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The driver carried it out.
    Succeeded,
    /// The driver did not. `UNKNOWN` is ambiguous: unknown to the driver, or an unknown id.
    Failed(ErrorCode),
    /// The driver has not said yet: hung, or it does not report. Verify by reading.
    Pending,
    /// Nobody will say; verify by reading.
    Untracked,
}

impl Client {
    /// `VER`.
    pub async fn version(&mut self) -> Result<String, ClientError> {
        self.text(Request::Version).await
    }

    /// `NETVER`, as in `1.3`.
    pub async fn network_version(&mut self) -> Result<String, ClientError> {
        self.text(Request::NetworkVersion).await
    }

    /// `LIST UPS`: names and descriptions.
    pub async fn list_ups(&mut self) -> Result<Vec<(String, String)>, ClientError> {
        self.pairs(Request::ListUps).await
    }

    /// `LIST VAR`: names and values.
    pub async fn list_variables(
        &mut self,
        ups: &str,
    ) -> Result<Vec<(String, String)>, ClientError> {
        self.pairs(Request::ListVariables(ups.to_owned())).await
    }

    /// `LIST RW`: names and values.
    pub async fn list_writables(
        &mut self,
        ups: &str,
    ) -> Result<Vec<(String, String)>, ClientError> {
        self.pairs(Request::ListWritables(ups.to_owned())).await
    }

    /// `LIST CMD`.
    pub async fn list_commands(&mut self, ups: &str) -> Result<Vec<String>, ClientError> {
        self.singles(Request::ListCommands(ups.to_owned())).await
    }

    /// `LIST CLIENT`: the addresses of those logged in; works without a driver.
    pub async fn list_clients(&mut self, ups: &str) -> Result<Vec<String>, ClientError> {
        self.singles(Request::ListClients(ups.to_owned())).await
    }

    /// `LIST ENUM`.
    pub async fn list_enum(
        &mut self,
        ups: &str,
        variable: &str,
    ) -> Result<Vec<String>, ClientError> {
        self.singles(Request::ListEnum(ups.to_owned(), variable.to_owned())).await
    }

    /// `LIST RANGE`: least and most.
    pub async fn list_range(
        &mut self,
        ups: &str,
        variable: &str,
    ) -> Result<Vec<(String, String)>, ClientError> {
        self.pairs(Request::ListRange(ups.to_owned(), variable.to_owned())).await
    }

    /// `GET VAR`. `server.info` and `server.version` are answered for any name of a UPS.
    pub async fn variable(&mut self, ups: &str, name: &str) -> Result<String, ClientError> {
        self.value(Request::GetVariable(ups.to_owned(), name.to_owned())).await
    }

    /// `GET TYPE`: a hint at best.
    pub async fn variable_type(
        &mut self,
        ups: &str,
        name: &str,
    ) -> Result<Vec<String>, ClientError> {
        let request = Request::GetType(ups.to_owned(), name.to_owned());
        let Answer::Values(values) = self.call(&request).await? else {
            return Err(self.misfit(&request));
        };
        Ok(values)
    }

    /// `GET DESC`.
    pub async fn description(&mut self, ups: &str, name: &str) -> Result<String, ClientError> {
        self.value(Request::GetDescription(ups.to_owned(), name.to_owned())).await
    }

    /// `GET CMDDESC`.
    pub async fn command_description(
        &mut self,
        ups: &str,
        command: &str,
    ) -> Result<String, ClientError> {
        self.value(Request::GetCommandDescription(ups.to_owned(), command.to_owned())).await
    }

    /// `GET UPSDESC`.
    pub async fn ups_description(&mut self, ups: &str) -> Result<String, ClientError> {
        self.value(Request::GetUpsDescription(ups.to_owned())).await
    }

    /// `GET NUMLOGINS`; an error while the driver is away, unlike [`Client::list_clients`].
    pub async fn logins(&mut self, ups: &str) -> Result<u32, ClientError> {
        let request = Request::GetLogins(ups.to_owned());
        let value = self.value(request.clone()).await?;
        value.parse().map_err(|_refused| self.misfit(&request))
    }

    /// `USERNAME` and `PASSWORD`. `upsd` says `OK` to both whatever they are; it checks them when
    /// an order needs them.
    pub async fn authenticate(&mut self, credentials: &Credentials) -> Result<(), ClientError> {
        self.done(Request::Username(credentials.username.clone())).await?;
        self.done(Request::Password(credentials.password.clone())).await?;
        Ok(())
    }

    /// `LOGIN`: counts as a client of that UPS until the connection closes.
    pub async fn log_in(&mut self, ups: &str) -> Result<(), ClientError> {
        self.done(Request::Login(ups.to_owned())).await.map(drop)
    }

    /// `PRIMARY`, or `MASTER` where the server is older than 2.8.0.
    pub async fn become_primary(&mut self, ups: &str) -> Result<(), ClientError> {
        match self.done(Request::Primary(ups.to_owned())).await {
            Err(error) if error.code() == Some(&ErrorCode::UnknownCommand) => {
                self.done(Request::Master(ups.to_owned())).await.map(drop)
            }
            outcome => outcome.map(drop),
        }
    }

    /// `FSD`: sends every foreign client of this UPS down, for good.
    pub async fn force_shutdown(&mut self, ups: &str) -> Result<(), ClientError> {
        self.done(Request::ForceShutdown(ups.to_owned())).await.map(drop)
    }

    /// `SET VAR`.
    pub async fn set_variable(
        &mut self,
        ups: &str,
        name: &str,
        value: &str,
    ) -> Result<Acceptance, ClientError> {
        let request = Request::SetVariable(ups.to_owned(), name.to_owned(), value.to_owned());
        self.order(request).await
    }

    /// `INSTCMD`.
    pub async fn run_command(
        &mut self,
        ups: &str,
        command: &str,
        parameter: Option<&str>,
    ) -> Result<Acceptance, ClientError> {
        let parameter = parameter.map(str::to_owned);
        self.order(Request::RunCommand(ups.to_owned(), command.to_owned(), parameter)).await
    }

    /// `SET TRACKING`; returns whether the server knows it (2.8.0 and later).
    pub async fn set_tracking(&mut self, on: bool) -> Result<bool, ClientError> {
        match self.done(Request::SetTracking(on)).await {
            Ok(_) => Ok(true),
            Err(error) => match error.code() {
                Some(ErrorCode::UnknownCommand | ErrorCode::InvalidArgument) => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// `GET TRACKING`: whether it is on.
    pub async fn is_tracking(&mut self) -> Result<bool, ClientError> {
        Ok(self.value(Request::GetTracking).await?.eq_ignore_ascii_case("ON"))
    }

    /// `GET TRACKING id`.
    pub async fn verdict(&mut self, id: &TrackingId) -> Result<Verdict, ClientError> {
        match self.value(Request::GetVerdict(id.0.clone())).await {
            Ok(word) if word.eq_ignore_ascii_case("SUCCESS") => Ok(Verdict::Succeeded),
            Ok(_) => Ok(Verdict::Pending),
            Err(ClientError::Refused { code, .. }) => Ok(Verdict::Failed(code)),
            Err(error) => Err(error),
        }
    }

    /// Waits for the driver's verdict, at most this long; then it is [`Verdict::Pending`].
    pub async fn await_verdict(
        &mut self,
        acceptance: &Acceptance,
        limit: Duration,
    ) -> Result<Verdict, ClientError> {
        let Acceptance::Tracked(id) = acceptance else {
            return Ok(Verdict::Untracked);
        };
        let deadline = Instant::now() + limit;
        loop {
            let verdict = self.verdict(id).await?;
            if verdict != Verdict::Pending || Instant::now() + VERDICT_INTERVAL > deadline {
                return Ok(verdict);
            }
            sleep(VERDICT_INTERVAL).await;
        }
    }

    /// `LOGOUT`; the connection is used up.
    pub async fn log_out(mut self) -> Result<(), ClientError> {
        self.done(Request::Logout).await.map(drop)
    }

    async fn text(&mut self, request: Request) -> Result<String, ClientError> {
        let Answer::Text(text) = self.call(&request).await? else {
            return Err(self.misfit(&request));
        };
        Ok(text)
    }

    async fn done(&mut self, request: Request) -> Result<Vec<String>, ClientError> {
        let Answer::Done(rest) = self.call(&request).await? else {
            return Err(self.misfit(&request));
        };
        Ok(rest)
    }

    async fn value(&mut self, request: Request) -> Result<String, ClientError> {
        let Answer::Values(values) = self.call(&request).await? else {
            return Err(self.misfit(&request));
        };
        <[String; 1]>::try_from(values).map(|[value]| value).map_err(|_many| self.misfit(&request))
    }

    async fn order(&mut self, request: Request) -> Result<Acceptance, ClientError> {
        let rest = self.done(request).await?;
        // Whatever else follows the OK, the order is on its way: that must not become an error.
        match <[String; 2]>::try_from(rest) {
            Ok([word, id]) if word.eq_ignore_ascii_case("TRACKING") => {
                Ok(Acceptance::Tracked(TrackingId(id)))
            }
            Ok(_) | Err(_) => Ok(Acceptance::Untracked),
        }
    }

    async fn singles(&mut self, request: Request) -> Result<Vec<String>, ClientError> {
        let rows = self.rows(&request).await?;
        let cells = rows.into_iter().map(|row| <[String; 1]>::try_from(row).map(|[one]| one));
        cells.collect::<Result<_, _>>().map_err(|_row| self.misfit(&request))
    }

    async fn pairs(&mut self, request: Request) -> Result<Vec<(String, String)>, ClientError> {
        let rows = self.rows(&request).await?;
        let cells = rows.into_iter().map(|row| <[String; 2]>::try_from(row).map(Into::into));
        cells.collect::<Result<_, _>>().map_err(|_row| self.misfit(&request))
    }

    async fn rows(&mut self, request: &Request) -> Result<Vec<Vec<String>>, ClientError> {
        let Answer::Rows(rows) = self.call(request).await? else {
            return Err(self.misfit(request));
        };
        Ok(rows)
    }

    /// An answer of another shape than the request's: the stream cannot be trusted.
    fn misfit(&mut self, request: &Request) -> ClientError {
        self.is_spent = true;
        ClientError::Mismatch { request: request.keywords(), source: AnswerError::Foreign }
    }
}
