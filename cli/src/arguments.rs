mod certs;
mod env;
mod identity;
mod keys;
mod second_factor;
mod service;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use reqwest::Url;
use storage::DatabaseUrl;
use token_service::AuditHead;

pub(crate) use certs::{Certs, Issue};
pub(crate) use env::{Env, EnvGroups, Group, ImageNode, Logs, NodeGroup, Nodes, Variable, Variables, Vars};
pub(crate) use identity::Identity;
pub(crate) use keys::{AuthorityPlace, Keys};
pub(crate) use second_factor::{Code, TwoFactor};
pub(crate) use service::{ConfigCommand, MigratedService, ServiceName};

/// Personal access tokens for a platform's API, and the environments that they control.
///
/// Exit codes: 0 done; 1 failed; 2 wrong usage; 3 not signed in, or a wrong password or code; 4 not allowed; 5 no such thing; 6 out of
/// reach; 7 a wrong value; 8 not in the environment's present status.
#[derive(Parser)]
#[command(name = "portcullis", version, max_term_width = 120)]
pub(crate) struct Arguments {
    /// Where the API is.
    #[arg(long, global = true, env = "PORTCULLIS_URL", default_value = "http://127.0.0.1:8080", value_parser = parse_url)]
    pub(crate) url: String,
    /// How answers are written to standard output.
    #[arg(long, global = true, env = "PORTCULLIS_OUTPUT", value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// The API's own answer, one JSON object.
    Json,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Runs the whole system in this process, until Ctrl-C.
    Up(Up),
    /// Signs in, and keeps the session for the commands that follow.
    Signin(Signin),
    /// Ends the kept session.
    Signout,
    /// Changes the account's password, and ends its other sessions.
    ChangePassword {
        /// Reads two lines from standard input, in place of asking: the password of before, and the one from now on.
        #[command(flatten)]
        password: Password,
    },
    /// Two-factor authentication of the account's sign-ins.
    #[command(subcommand)]
    TwoFactor(TwoFactor),
    /// The account's sessions.
    #[command(subcommand)]
    Session(Session),
    /// Accounts, for administrators.
    #[command(subcommand)]
    Account(Account),
    /// Personal access tokens.
    #[command(subcommand)]
    Token(Token),
    /// Environments.
    #[command(subcommand)]
    Env(Env),
    /// The groups under which environments are put together.
    #[command(subcommand)]
    Group(Group),
    /// The API's methods.
    #[command(subcommand)]
    Api(Api),
    /// The audit log.
    #[command(subcommand)]
    Audit(Audit),
    /// Lists the processes that hold a lease of the authority: who remembers what credentials may do, where they are, how long
    /// their lease lasts and which change they have acknowledged. For administrators.
    Holders,
    /// The configurations of services that run by themselves.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// A private certificate authority, and the certificates of the services.
    #[command(subcommand)]
    Certs(Certs),
    /// The keys that the authority signs grants with.
    #[command(subcommand)]
    Keys(Keys),
    /// Copies what `portcullis up` keeps into a new folder, while it runs: databases, keys and templates. What nodes that are processes
    /// have written into their own folders is not among it.
    Backup {
        /// Where everything is kept.
        #[arg(long, env = "PORTCULLIS_DATA_DIR", default_value = ".portcullis")]
        data_dir: PathBuf,
        /// The new folder. It holds secrets: keep it as safe as the data folder.
        to: PathBuf,
    },
    /// Makes a data folder from a backup. Nothing that was given out after the backup counts for anything.
    Restore {
        /// Where everything is to be kept: a folder that is not there yet, or empty.
        #[arg(long, env = "PORTCULLIS_DATA_DIR", default_value = ".portcullis")]
        data_dir: PathBuf,
        /// The backup.
        from: PathBuf,
    },
    /// Looks whether everything is there that a service needs, and as it should be: files, database, clocks, the other services, and what
    /// runs nodes. Nothing is changed.
    Doctor {
        /// Whose configuration it is.
        #[arg(value_enum)]
        service: ServiceName,
        /// The file.
        file: PathBuf,
    },
    /// Brings the database of a service that runs by itself to this version.
    Migrate {
        /// Whose it is.
        #[arg(value_enum)]
        service: MigratedService,
        /// Its configuration.
        file: PathBuf,
    },
    /// Asks a process whether it serves, and fails where it does not within 3 s. For what watches over processes.
    Health {
        /// Where it is: a service by its address alone, `http://127.0.0.1:9001`, is asked by gRPC's protocol for that; an address with
        /// a path, `http://127.0.0.1:8080/readyz`, has to answer 200.
        address: Url,
        #[command(flatten)]
        identity: Identity,
    },
    /// Makes a key for a service: prints the key, and the hash that the authority's configuration takes.
    ServiceKey,
    /// Makes the authority's signing key and prints it as PKCS #8 PEM.
    SigningKey,
    /// Makes the key under which the authority seals the secrets of second factors, and prints it in base64.
    SecondFactorKey,
}

#[derive(Args)]
pub(crate) struct Up {
    /// Where everything is kept.
    #[arg(long, env = "PORTCULLIS_DATA_DIR", default_value = ".portcullis")]
    pub(crate) data_dir: PathBuf,
    /// Where the API is served.
    #[arg(long, env = "PORTCULLIS_LISTEN", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Lets the API be served elsewhere than on the loopback too. It is served without TLS: something in front of it has to do that.
    #[arg(long, env = "PORTCULLIS_ALLOW_PLAINTEXT")]
    pub(crate) allow_plaintext: bool,
    /// The login of the account that the first start makes. Not given: `admin`.
    #[arg(long, env = "PORTCULLIS_LOGIN")]
    pub(crate) login: Option<String>,
    /// Its password. Not given: a random one, printed once.
    #[arg(long, env = "PORTCULLIS_PASSWORD", hide_env_values = true)]
    pub(crate) password: Option<String>,
    /// Stops the environments' processes with the system, and starts them again with it. Otherwise they go on running.
    #[arg(long, env = "PORTCULLIS_STOP_ENVIRONMENTS")]
    pub(crate) stop_environments: bool,
    /// What is logged on standard error.
    #[arg(long, env = "PORTCULLIS_LOG", default_value = "info")]
    pub(crate) log: String,
}

/// How a command gets the account's password.
#[derive(Args)]
pub(crate) struct Password {
    /// Reads the password from standard input, one line, in place of asking for it.
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Args)]
pub(crate) struct Signin {
    /// The account's login.
    #[arg(long, env = "PORTCULLIS_LOGIN")]
    pub(crate) login: String,
    #[command(flatten)]
    pub(crate) password: Password,
    #[command(flatten)]
    pub(crate) code: Code,
}

/// An account, and the password of the administrator who changes it.
#[derive(Args)]
pub(crate) struct Chosen {
    /// What the account signs in with.
    pub(crate) login: String,
    #[command(flatten)]
    pub(crate) password: Password,
}

#[derive(Subcommand)]
pub(crate) enum Account {
    /// Makes an account. Your own password is asked for, then the account's; or both are read from standard input, a line each.
    Create {
        /// What it signs in with.
        login: String,
        /// Its name for people.
        #[arg(long)]
        name: Option<String>,
        /// May make accounts itself.
        #[arg(long)]
        administrator: bool,
        #[command(flatten)]
        password: Password,
    },
    /// Lists accounts.
    List {
        /// Only accounts whose login holds this text.
        #[arg(long)]
        search: Option<String>,
    },
    /// Shuts an account: its sessions end, and its tokens open nothing until it is enabled again.
    Disable(Chosen),
    /// Opens an account that was shut, with its tokens.
    Enable(Chosen),
    /// Deletes an account with its tokens. Its environments go on.
    Delete(Chosen),
    /// Gives an account another password, and ends all of its sessions. Your own password is asked for, then the account's; or both
    /// are read from standard input, a line each.
    SetPassword(Chosen),
    /// Takes the second factor from an account whose owner has lost it, and ends all of its sessions.
    ResetTwoFactor(Chosen),
}

#[derive(Subcommand)]
pub(crate) enum Session {
    /// Lists the sessions that are open, the one that was used last first.
    List,
    /// Ends sessions.
    Signout {
        /// The sessions' numbers.
        #[arg(required_unless_present = "all")]
        ids: Vec<i64>,
        /// All of the account's sessions but the one that asks.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
}

/// What a token is confined to.
#[derive(Args)]
pub(crate) struct Confinement {
    /// A pattern of environments that it reaches, `staging-*`; again for each. `*`: all.
    #[arg(long = "environment", value_name = "PATTERN")]
    pub(crate) environments: Vec<String>,
    /// A network that it may be used from, `10.1.0.0/16`; again for each. `*`: any.
    #[arg(long = "network", value_name = "CIDR")]
    pub(crate) networks: Vec<String>,
}

#[derive(Subcommand)]
pub(crate) enum Token {
    /// Lists the account's tokens.
    List,
    /// Makes a token and prints its value, this once.
    Create {
        /// What to call it.
        #[arg(long)]
        description: String,
        /// A method that it may call; again for each.
        #[arg(long = "method", value_name = "METHOD", required_unless_present = "set")]
        methods: Vec<String>,
        /// A predefined set in place of methods: `Extended Access`, `IDE Plugins`, `Marketplace`, `Maven Plugin`.
        #[arg(long, conflicts_with = "methods")]
        set: Option<String>,
        /// When it ends: `yyyy-mm-dd hh:mm:ss` UTC, or `dd-mm-yyyy` for the end of that day.
        #[arg(long)]
        expires_at: Option<String>,
        #[command(flatten)]
        confinement: Confinement,
        #[command(flatten)]
        password: Password,
    },
    /// Makes a token like another, prints its value, this once.
    Copy {
        /// The other token's number.
        id: i64,
        /// What to call it, where not like the other.
        #[arg(long)]
        description: Option<String>,
        /// When it ends, where not with the other.
        #[arg(long)]
        expires_at: Option<String>,
        #[command(flatten)]
        confinement: Confinement,
        #[command(flatten)]
        password: Password,
    },
    /// Changes a token. What is not given stays.
    Edit {
        /// The token's number.
        id: i64,
        /// What to call it.
        #[arg(long)]
        description: Option<String>,
        /// A method that it may call, in place of all it has; again for each.
        #[arg(long = "method", value_name = "METHOD")]
        methods: Vec<String>,
        /// A predefined set in place of what it has.
        #[arg(long, conflicts_with = "methods")]
        set: Option<String>,
        /// When it ends.
        #[arg(long)]
        expires_at: Option<String>,
        /// It ends no more.
        #[arg(long, conflicts_with = "expires_at")]
        never_expires: bool,
        /// The value of before the last regeneration ends now.
        #[arg(long)]
        end_overlap: bool,
        #[command(flatten)]
        confinement: Confinement,
        #[command(flatten)]
        password: Password,
    },
    /// Gives a token a new value and prints it, this once. The old value is dead, unless it is to live on for a while.
    Regenerate {
        /// The token's number.
        id: i64,
        /// When it ends, where that is to change.
        #[arg(long)]
        expires_at: Option<String>,
        /// How long the old value lives on, in seconds: up to 30 days.
        #[arg(long, value_name = "SECONDS")]
        overlap: Option<u32>,
        #[command(flatten)]
        password: Password,
    },
    /// Deletes tokens.
    Delete {
        /// The tokens' numbers.
        #[arg(required_unless_present = "all")]
        ids: Vec<i64>,
        /// All of the account's tokens.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        #[command(flatten)]
        password: Password,
    },
    /// Deletes the token in PORTCULLIS_TOKEN: whoever has a token may end it.
    RevokeCurrent,
    /// Reports the value of a token or session that was found where it does not belong: it is dead from then on, and its owner
    /// is told. The value is read from standard input, one line.
    ReportLeak,
}

/// The address of an API: `http` or `https`.
fn parse_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("an address of http or https is needed".to_owned());
    }
    Ok(text.to_owned())
}

#[derive(Subcommand)]
pub(crate) enum Audit {
    /// Lists what was done to the account, newest first.
    List {
        /// Only entries before this one.
        #[arg(long)]
        before: Option<i64>,
        /// How many at most.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Looks whether the log is a whole chain, and tells its head: NUMBER:HASH. For the operator, on the authority's database.
    Verify {
        /// A head of the log that was kept elsewhere: the log has to hold it still.
        #[arg(long, value_name = "NUMBER:HASH")]
        expect: Option<AuditHead>,
        #[command(flatten)]
        database: AuditDatabase,
    },
    /// Writes the whole log as JSON lines, oldest first, and tells its head on standard error. For the operator, on the
    /// authority's database.
    Export(AuditDatabase),
}

/// Where the authority's database is.
#[derive(Args)]
pub(crate) struct AuditDatabase {
    /// The data folder of `portcullis up`.
    #[arg(long, env = "PORTCULLIS_DATA_DIR", default_value = ".portcullis")]
    pub(crate) data_dir: PathBuf,
    /// The database itself, `sqlite:///…` or `postgres://…`, in place of the folder.
    #[arg(long, env = "PORTCULLIS_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<DatabaseUrl>,
}

#[derive(Subcommand)]
pub(crate) enum Api {
    /// Lists the methods of the API that this build knows.
    List {
        /// Only methods whose name holds this text.
        #[arg(long)]
        search: Option<String>,
    },
}
