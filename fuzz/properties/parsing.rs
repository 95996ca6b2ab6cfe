//! No bytes make a parser panic, and what a parser of texts has read it prints and reads again as the same.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use mytls::protocol::capabilities::Capabilities;
use mytls::protocol::change_user::ChangeUser;
use mytls::protocol::err_packet::ErrPacket;
use mytls::protocol::greeting::BackendGreeting;
use mytls::protocol::login::{Login, LoginHead};
use mytls::protocol::ok_packet::status_of_ok;
use mytls::protocol::proxy_header::ProxyHeader;
use mytls::protocol::statement::Statement;
use mytls::rules::{AccountName, AlternativeNames, Attribute, Host, Name, Requirement};

/// Two bytes are flags for what they are needed; all parsers read the rest.
pub(crate) fn nothing_panics(data: &[u8]) {
    let Some((&[low, high], bytes)) = data.split_first_chunk() else {
        return;
    };
    let flags = Capabilities::from_mysql(u32::from_le_bytes([low, 0x82, high, 0x0F]));
    let _ = LoginHead::decode(bytes);
    let _ = Login::decode(bytes, flags)
        .map(|login| login.attributes.encode_behind(&[("a", "b".into())]));
    let _ = ChangeUser::decode(bytes, flags).map(|command| command.attributes.encode_behind(&[]));
    let _ = BackendGreeting::decode(bytes).map(|greeting| greeting.server_kind());
    let _ = ErrPacket::decode(bytes);
    let _ = (ErrPacket::find(bytes), ProxyHeader::decode(bytes));
    let _ = status_of_ok(bytes);
    let _ = Statement::read(bytes, low % 2 == 1);

    let text = String::from_utf8_lossy(bytes);
    is_read_as_printed::<AccountName>(&text);
    is_read_as_printed::<Host>(&text);
    is_read_as_printed::<Requirement>(&text);
    let _ = text.parse::<AlternativeNames>();
    let _ = Name::new(&[vec![Attribute {
        kind: "CN",
        value: bytes,
        text: Some(&text),
    }]])
    .is_written(&text);
}

fn is_read_as_printed<T: FromStr<Err: Debug> + Display + PartialEq + Debug>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        let again = read.to_string().parse::<T>();
        assert_eq!(
            again.as_ref().ok(),
            Some(&read),
            "{text:?} is printed as {read}: {again:?}"
        );
    }
}
