/// Who decides that a table whose home region is lost goes on in another one (DESIGN §10). It matters for tables whose
/// voters all stand at home, in the semi-synchronous and asynchronous modes; with region survival consensus itself
/// elects a leaseholder elsewhere.
public enum FailoverPolicy: Hashable, Sendable {
    /// Somebody calls `EmbeddedCluster.failOver(_:from:to:)`. Nothing is fenced off: an isolated home region goes on
    /// taking commits, which are lost to the others and reported when it returns.
    case manual
    /// The cluster does it by itself when the home region has not been heard for a while. A home region that cannot
    /// reach a quorum of the system range stops serving by itself before another one begins, so no commit is ever
    /// acknowledged in two places.
    case automatic
}
