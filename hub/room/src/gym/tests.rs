//! A gym with its members around it, played through inputs alone.

mod activities;
mod boards;
mod claims;
mod controls;
mod extreme;
mod kit;
mod people;
mod property;
mod readings;
mod restart;
mod rooms;
mod stops;
