import MeridianCore

/// How a session sees to it that its reads show its own writes, though replicas near the client follow behind.
///
/// Each guarantees it for the writes of one session, for the price named, and differs in what happens when the user
/// goes on elsewhere: in another session, on another device. docs/SESSIONS.md has figures.
public enum ReadYourWrites: Hashable, Sendable {
    /// Not at all: reads are near and may be as old as the session's staleness.
    case none
    /// After its first write the session sends all requests to the home region of what it wrote last, and reads there
    /// strongly. The user pays the way to that region from then on, however near replicas are. Nobody else knows of
    /// it: another session begins near and stale.
    case sticky
    /// For so long after a write, reads are strong, from the leaseholder wherever it is; then near and stale again. A
    /// window that is at least as long as the session's staleness always shows the write; a shorter one shows it only
    /// if the replicas have caught up by then. Nobody else knows of the window.
    case readFromPrimary(for: Duration)
    /// Reads are near, and not before the session's token, which every write and read moves on: the session reads its
    /// own writes, and never anything older than it has seen. A replica that is behind is waited for, or the
    /// leaseholder asked, whichever is sooner. `Session.token` takes the guarantee to any other device or service.
    case causal
    /// The user is homed: requests go to this region, reads there are strong. Clients elsewhere send their writes
    /// there and read near by, not before their token, as with `causal`; a session without a token makes its first
    /// read strong, in the home region, and so sees what the user did on other devices even if nobody handed the token
    /// on. It takes a register of who is at home where, best the rows' own region column.
    case homeRegion(Region)

    /// Whether sessions of this kind read after a token.
    var readsAfterToken: Bool {
        switch self {
        case .causal, .homeRegion: true
        case .none, .sticky, .readFromPrimary: false
        }
    }
}
