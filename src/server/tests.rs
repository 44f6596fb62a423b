//! The server through real requests, on free ports, beside the emulator.

mod access;
mod admin;
mod app_data;
mod dashboard;
mod events;
mod exchange;
mod keys;
mod limits;
mod pages;
mod people;
mod site;
mod stop;
