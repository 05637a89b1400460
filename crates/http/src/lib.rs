#![doc = include_str!("../README.md")]

mod address;
mod body;
mod client;
mod connect;
mod connection;
mod egress;
mod error;
mod headers;
mod image;
mod network;
mod pool;
mod proxy;
mod response;
mod tls;
mod transport;

pub use body::Body;
pub use client::{Client, ClientSettings, Endpoint, Request};
pub use egress::EgressPolicy;
pub use headers::{RequestHeaders, is_managed};
pub use image::{FetchLimits, FetchedImage, fetch_image, is_web_url};
pub use network::{
    NetworkConfig, ProxyConfig, TimeoutConfig, TimeoutParts, Timeouts, TlsConfig, TlsVerify, TlsVersion,
};
pub use response::{Response, ResponseBody};
pub use tls::choose_tls;
