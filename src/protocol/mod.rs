//! MySQL's client/server protocol: bytes in, bytes out. No tokio, no rustls, no clock.

pub mod attributes;
pub mod auth_plugin;
pub mod capabilities;
pub mod change_user;
mod character_set;
pub mod command;
pub mod compression;
pub mod err_packet;
pub mod greeting;
pub mod login;
pub mod ok_packet;
pub mod packet;
pub mod proxy_header;
pub mod query_attributes;
pub mod response;
pub mod result_set;
pub mod server_kind;
mod side;
pub mod statement;
pub mod tracker;
pub mod user_name;

pub use self::side::Side;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::auth_plugin::{AuthPlugin, LoginReply, read_more_data, switch_salt};
    use super::capabilities::Capabilities;
    use super::change_user::ChangeUser;
    use super::err_packet::ErrPacket;
    use super::greeting::BackendGreeting;
    use super::login::{Login, LoginHead};
    use super::ok_packet::status_of_ok;

    proptest! {
        /// Whatever comes from the network is read or refused.
        #[test]
        fn no_payload_makes_a_reader_panic(
            payload in prop::collection::vec(any::<u8>(), 0..300),
            flags: u32,
            head in prop::sample::select(vec![0x00_u8, 0x01, 0x02, 0x0A, 0x11, 0xFE, 0xFF]),
        ) {
            let flags = Capabilities::from_mysql(flags);
            for payload in [payload.clone(), [&[head], &payload[..]].concat()] {
                let _ = BackendGreeting::decode(&payload);
                let _ = LoginHead::decode(&payload);
                let _ = ChangeUser::decode(&payload, flags).map(|read| read.attributes.encode_behind(&[]));
                let _ = Login::decode(&payload, flags).map(|read| read.attributes.encode_behind(&[]));
                let _ = ErrPacket::decode(&payload).map(|read| read.encode());
                let _ = (status_of_ok(&payload), switch_salt(&payload), read_more_data(&payload));
                let _ = LoginReply::read(&payload, AuthPlugin::CachingSha2);
            }
        }
    }
}
