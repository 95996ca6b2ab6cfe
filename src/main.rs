//! The `mytls` program: reads the command line, does what it says, and exits with what became of it.

#![forbid(unsafe_code)]

use std::env;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use mytls::authorize::{AuthorizeError, Client};
use mytls::check::Network;
use mytls::cli::{Certs, Cli, Command, EXIT_USAGE};
use mytls::config::{Config, Environment};
use mytls::reload::ReadConfig;
use mytls::{authorize, certs, check, ctl, health, logging, run, shutdown};
use tracing::{error, warn};

fn main() -> ExitCode {
    let environment = Environment::of_process();
    match Cli::read(env::args_os()).map(|cli| cli.command) {
        Ok(Command::Serve(serve)) => match serve.configuration(&environment) {
            Ok(config) => {
                let read = Arc::new(move || serve.configuration(&environment));
                self::serve(config, read)
            }
            Err(error) => usage(error),
        },
        Ok(Command::Check(check)) => match check.configuration(&environment) {
            Ok(config) => self::check(config, check.network()),
            Err(error) => usage(error),
        },
        Ok(Command::Authorize(authorize)) => {
            match (
                Config::load(&authorize.config, &environment),
                authorize.client(),
            ) {
                (Ok(config), Ok(client)) => self::authorize(&config, &client),
                (_, Err(error)) => usage(error),
                (Err(error), _) => usage(error),
            }
        }
        Ok(Command::Certs(Certs::New(new))) => {
            answer(certs::new(&new.order(), &mut io::stdout().lock()).map(|()| true))
        }
        Ok(Command::Certs(Certs::Show(show))) => {
            answer(certs::show(&show.targets, &mut io::stdout().lock()))
        }
        Ok(Command::Ctl(ctl)) => match ctl.order(&environment) {
            Ok(order) => answer(ctl::ctl(
                order,
                &mut io::stdout().lock(),
                &mut io::stderr().lock(),
            )),
            Err(error) => usage(error),
        },
        Ok(Command::Completions(completions)) => {
            answer(completions.print(&mut io::stdout().lock()).map(|()| true))
        }
        Ok(Command::Man(man)) => answer(man.write().map(|()| true)),
        Ok(Command::Health(order)) => match order.asked.port(&environment) {
            Ok(port) => answer(health::health(&port, order.question(), &mut io::stdout())),
            Err(error) => usage(error),
        },
        Ok(Command::Wait(order)) => match order.asked.port(&environment) {
            Ok(port) => answer(health::wait(&port, order.timeout, &mut io::stdout())),
            Err(error) => usage(error),
        },
        Ok(Command::Shutdown(order)) => {
            let ended = shutdown::shutdown(order.pid, order.waiting(), &mut io::stdout());
            answer(ended.map(|()| true))
        }
        Err(exit) => exit,
    }
}

fn serve(config: Config, read: Arc<ReadConfig>) -> ExitCode {
    let logging = logging::start(config.log);
    for warning in &config.warnings {
        warn!("{warning}");
    }
    match run::serve(config, logging, read) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            error!("{failure}");
            if failure.is_of_configuration() {
                ExitCode::from(EXIT_USAGE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn check(config: Config, network: Network) -> ExitCode {
    answer(check::check(config, network, &mut io::stdout().lock()))
}

/// Of a command that prints what it finds, and whether that is good.
fn answer(found: Result<bool, impl fmt::Display>) -> ExitCode {
    match found {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => complain(format_args!("mytls: {failure}"), ExitCode::FAILURE),
    }
}

fn authorize(config: &Config, client: &Client) -> ExitCode {
    match authorize::authorize(config, client, &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(AuthorizeError::Output(failure)) => {
            complain(format_args!("mytls: {failure}"), ExitCode::FAILURE)
        }
        Err(
            wrong @ (AuthorizeError::Certificate(_)
            | AuthorizeError::Rules(_)
            | AuthorizeError::RuleFile(_)),
        ) => usage(wrong),
    }
}

fn usage(wrong: impl Into<anyhow::Error>) -> ExitCode {
    complain(
        format_args!("mytls: {:#}", wrong.into()),
        ExitCode::from(EXIT_USAGE),
    )
}

/// Nothing can be said about a closed standard error.
fn complain(text: fmt::Arguments<'_>, exit: ExitCode) -> ExitCode {
    let _ = writeln!(io::stderr(), "{text}");
    exit
}
