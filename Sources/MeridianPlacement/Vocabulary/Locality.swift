import MeridianCore

/// How a table's rows are homed (DESIGN §8). A row's home region is where its range's leaseholder stands: reads and
/// writes from there are near, from elsewhere they cross the distance.
public enum Locality: Hashable, Sendable {
    /// Each row is homed in the region that this text column of it names.
    case regionalByRow(column: String)
    /// All rows are homed in one region.
    case regional(in: Region)
    /// Read everywhere, written rarely: a copy in every region; the home is the region nearest to all others,
    /// unless a primary is given.
    case global
    /// At home in several regions at once: each has a copy of its own, which it reads and writes alone, and the copies
    /// converge (DESIGN §10).
    case activeActive
}
