import MeridianCore
import MeridianPlacement

/// How a `RegionRouter` finds the region for its clients' requests.
public struct RoutingConfiguration: Hashable, Sendable {
    /// The regions that may be used; `nil` for all of the topology. A region's nodes see the rows that pass through
    /// them, so name those of the jurisdiction where that matters.
    public var regions: [Region]?
    /// Between two pings of a region.
    public var pingInterval = Duration.seconds(5)
    /// A region that has not answered a ping by then has failed it.
    public var pingTimeout = Duration.seconds(1)
    /// A request that has not been answered by then is repeated through another region.
    public var attemptTimeout = Duration.seconds(2)
    /// So many failures in a row, of pings or of requests, and a region gets no more requests.
    public var failureThreshold = 3
    /// So many good pings in a row bring it back.
    public var successThreshold = 2
    /// How long a failed region is left alone before it is tried again.
    public var coolDown = Duration.seconds(5)
    /// Another region must be nearer by this share of the current one's latency, and by 2 ms, twice in a row,
    /// before requests go there instead.
    public var margin = 0.1

    public init() {}

    func validate(_ topology: Topology) throws(MeridianError) {
        for region in regions ?? [] { try topology.require(region) }
        guard regions?.isEmpty != true else { throw Self.invalid("no region is named; leave the list out for all") }
        for (name, duration) in [
            ("ping interval", pingInterval), ("ping timeout", pingTimeout), ("attempt timeout", attemptTimeout),
            ("cool-down", coolDown),
        ] where duration <= .zero {
            throw Self.invalid("the \(name) is \(duration); give a positive duration")
        }
        guard failureThreshold >= 1, successThreshold >= 1 else {
            throw Self.invalid("thresholds of \(failureThreshold) and \(successThreshold) are not at least 1")
        }
        guard margin >= 0, margin <= 1 else { throw Self.invalid("a margin of \(margin) is no share") }
    }

    private static func invalid(_ message: String) -> MeridianError {
        MeridianError(.invalidConfiguration, "routing: \(message)")
    }

    var measured: MeasuredRouter.Configuration {
        var measured = MeasuredRouter.Configuration()
        measured.probeIntervalNanoseconds = pingInterval.nanoseconds
        measured.marginShare = margin
        measured.failureThreshold = failureThreshold
        measured.successThreshold = successThreshold
        measured.coolDownNanoseconds = coolDown.nanoseconds
        return measured
    }
}
