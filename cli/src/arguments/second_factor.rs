use clap::{Args, Subcommand};

use super::Password;

/// How a command gets a code of the second factor.
#[derive(Args)]
pub(crate) struct Code {
    /// The code that the authenticator shows, or a recovery code. Not given: it is asked for where it is needed.
    #[arg(long, env = "PORTCULLIS_CODE", hide_env_values = true)]
    pub(crate) code: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum TwoFactor {
    /// Tells whether it is on, and how many recovery codes are left.
    Status,
    /// Makes the secret of an authenticator and shows it as a QR code. At a terminal it asks for the first code, turns two-factor
    /// authentication on and prints the recovery codes; elsewhere it prints the secret, and `confirm` does the rest.
    Enable {
        #[command(flatten)]
        password: Password,
    },
    /// Turns two-factor authentication on with the authenticator's first code, and prints the recovery codes, this once.
    Confirm {
        #[command(flatten)]
        code: Code,
    },
    /// Turns two-factor authentication off.
    Disable {
        #[command(flatten)]
        password: Password,
        #[command(flatten)]
        code: Code,
    },
    /// Makes recovery codes in place of those of before, and prints them, this once.
    RecoveryCodes {
        #[command(flatten)]
        password: Password,
        #[command(flatten)]
        code: Code,
    },
}
