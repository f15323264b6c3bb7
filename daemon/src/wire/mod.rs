//! What everybody needs who speaks MQTT, sources as well as outputs: packets as bytes, the way to a broker, and what its
//! codes mean. Nothing here knows what is received or sent, or keeps a connection.

pub(crate) mod decode;
pub(crate) mod dial;
pub(crate) mod encode;
pub(crate) mod frame;
pub(crate) mod publish;
pub(crate) mod codes;
pub(crate) mod reasons;
