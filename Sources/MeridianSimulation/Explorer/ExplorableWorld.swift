/// A small world that can be taken through all orders of what can happen in it (`Explorer`).
///
/// The world is a value, so it can be forked at every choice. It is built of the production's machines and of as little
/// else as possible: links and disks that do what the choices say, and *ghosts*, which remember what was promised so
/// that a broken promise shows.
///
/// - Every choice that a fault costs is paid from a budget (the world's *bound*), so that the choices end.
/// - Time is a choice: a timer runs out when the world chooses so, never because others took long.
/// - Two worlds with one fingerprint can do the same, and break the same rules. What does not matter for that must not
///   be in it, or worlds that are the same are explored again and again: absolute times, names that only count up, the
///   order of messages that may come in any order.
package protocol ExplorableWorld {
    associatedtype Choice: CustomStringConvertible

    /// All that can happen next. The order must be a function of the world's fingerprint's constituents alone: a path
    /// is kept as the positions of its choices.
    func choices() -> [Choice]

    /// Lets it happen.
    /// - Returns: the rule that it broke and how, if it did.
    mutating func take(_ choice: Choice) -> String?

    func fingerprint(into hasher: inout Hasher)
}
