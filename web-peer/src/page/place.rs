//! Where the page is: its room, the room's secret, and what this tab remembers about itself.

use shared::ids::RoomName;
use shared::wire::identity::RoomToken;
use web_sys::window;

/// Session storage: the slot that this very tab held before it was reloaded.
const SLOT_KEY: &str = "wordraft slot";

/// Local storage: the theme that was chosen.
const THEME_KEY: &str = "wordraft theme";

#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub origin: String,
    pub room: RoomName,
    /// `?record`: this tab's node writes down what it is told.
    pub record: bool,
    secret: Option<String>,
}

impl Place {
    /// From `http://HOST:PORT/r/ROOM#SECRET`; the bare address is the lobby.
    pub fn here() -> Result<Place, String> {
        let location = window().ok_or("there is no window")?.location();
        let text = |part: Result<String, _>| part.map_err(|_| "the address cannot be read".to_owned());
        let path = text(location.pathname())?;
        let room = match path.strip_prefix("/r/").map(|room| room.trim_end_matches('/')) {
            Some(room) => room.parse().map_err(|error| format!("{error}"))?,
            None => RoomName::default(),
        };
        let record = text(location.search())?.trim_start_matches('?').split('&').any(|word| word == "record");
        let hash = text(location.hash())?;
        let secret = hash.strip_prefix('#').filter(|secret| !secret.is_empty()).map(str::to_owned);
        Ok(Place { origin: text(location.origin())?, room, record, secret })
    }

    pub fn token(&self) -> Option<RoomToken> {
        self.secret.as_deref().map(RoomToken::member)
    }

    pub fn socket_url(&self) -> String {
        format!("{}/ws/{}", self.origin.replacen("http", "ws", 1), self.room)
    }

    /// The link that lets somebody else in.
    pub fn link(&self) -> String {
        let secret = self.secret.as_ref().map_or_else(String::new, |secret| format!("#{secret}"));
        format!("{}/r/{}{secret}", self.origin, self.room)
    }
}

pub fn remembered_slot() -> Option<u32> {
    session()?.get_item(SLOT_KEY).ok()??.parse().ok()
}

pub fn remember_slot(slot: u32) {
    if let Some(session) = session() {
        // A browser that gives no session storage only makes a reload pick its slot anew.
        let _refused = session.set_item(SLOT_KEY, &slot.to_string());
    }
}

/// `light`, `dark` or, for the system's choice, `auto`.
pub fn remembered_theme() -> String {
    let stored = local().and_then(|local| local.get_item(THEME_KEY).ok()?);
    stored.unwrap_or_else(|| "auto".to_owned())
}

pub fn set_theme(theme: &str) {
    if let Some(local) = local() {
        let _refused = local.set_item(THEME_KEY, theme);
    }
    if let Some(root) = window().and_then(|window| window.document()?.document_element()) {
        // Fails only for names that are no attribute.
        let _never = root.set_attribute("data-theme", theme);
    }
}

pub fn is_hidden() -> bool {
    window().and_then(|window| window.document()).is_some_and(|document| document.hidden())
}

/// Asks the browser not to clear what this origin stores when it runs short of room. Some ask the person, so this waits
/// until there is a text to keep. The answer shows in the storage line, which the worker keeps up to date.
pub fn ask_to_keep_storage() {
    if let Some(window) = window() {
        let storage = window.navigator().storage();
        // Only pages of a secure origin have one.
        if !storage.is_undefined() {
            let _answered_elsewhere = storage.persist();
        }
    }
}

fn session() -> Option<web_sys::Storage> {
    window()?.session_storage().ok()?
}

fn local() -> Option<web_sys::Storage> {
    window()?.local_storage().ok()?
}
