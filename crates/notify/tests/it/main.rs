//! Events and webhooks as their callers see them.

#![forbid(unsafe_code)]

mod order;
mod pages;
mod receiver;
mod retention;
mod webhooks;
mod world;
