/// What the design document says of a mode, what a run showed, and why they differ: chosen by comparing the two.
package struct DocumentClaim: Sendable, Equatable {
    package enum Verdict: String, Sendable {
        case agrees
        case less = "less here"
        case more = "more here"
    }

    /// Where the document says it.
    package var section: String
    package var says: String
    package var measured: String
    package var verdict: Verdict
    package var why: String

    /// - Parameters:
    ///   - range: what the claim allows `value` to be.
    ///   - agrees, less, more: the sentence for each outcome.
    package init(
        _ section: String, _ says: String, measured: String, value: Double, in range: ClosedRange<Double>,
        agrees: String, less: String, more: String
    ) {
        self.section = section
        self.says = says
        self.measured = measured
        if value < range.lowerBound {
            (verdict, why) = (.less, less)
        } else if value > range.upperBound {
            (verdict, why) = (.more, more)
        } else {
            (verdict, why) = (.agrees, agrees)
        }
    }

    /// The claims on modes that the run has.
    package static func all(of run: ModesRun) -> [DocumentClaim] {
        let judge = DocumentJudge(run: run)
        return judge.distances + judge.writes + judge.consistency + judge.failures + judge.convergence
    }
}

/// Holds the document's sentences against one run.
struct DocumentJudge {
    let run: ModesRun

    static let strategies = "Cross-region replication strategies"
    static let passive = "Active-passive"
    static let active = "Active-active"
    static let resolution = "Conflict resolution"
    /// The document's "~5 ms": half to double of it.
    private static let aboutFive = 2.5...10.0

    var nearest: Double { run.homeRoundTrips.first ?? 0 }
    private var farthest: Double { run.homeRoundTrips.last ?? 0 }

    func ms(_ value: Double) -> String { ModesText.time(value) }

    // MARK: Distances

    var distances: [DocumentClaim] {
        var claims: [DocumentClaim] = []
        let trips = run.links.map(\.roundTrip)
        if let shortest = trips.min(), let longest = trips.max() {
            let range = 50.0...200.0
            claims.append(
                DocumentClaim(
                    "Introduction", "cross-region round trips cost 50–200 ms",
                    measured: "links of \(ms(shortest)) to \(ms(longest))",
                    value: shortest < range.lowerBound ? shortest : longest, in: range,
                    agrees: "The links are as long as AWS's between these regions.",
                    less: "The nearest two of these regions are \(ms(shortest)) apart.",
                    more: "The farthest two of these regions are \(ms(longest)) apart."))
        }
        if let far = run[.synchronousZone]?.farStrongRead, let near = run[.asynchronous]?.localRead {
            claims.append(
                DocumentClaim(
                    "Why go multi-region?",
                    "a far user sees ~150 ms to a distant server; a local region cuts this to ~5 ms",
                    measured: "\(ms(far.p50)) to the rows' home \(ms(farthest)) away; \(ms(near.p50)) at a local copy",
                    value: near.p50, in: Self.aboutFive,
                    agrees: "A copy in the user's region saves the \(ms(farthest)) of the way.",
                    less: "The client stands beside a node here; the document's 5 ms have a network between user and "
                        + "region in them, which no store can save.",
                    more: "The local copy was slower than a region should be, at a p99 of \(ms(near.p99)): busy cores."
                ))
        }
        return claims
    }

    // MARK: Writes

    var writes: [DocumentClaim] {
        var claims: [DocumentClaim] = []
        if let region = run[.synchronousRegion], let zone = run[.synchronousZone] {
            claims.append(added(region, over: zone, "synchronous: +100–200 ms per write (cross-region RTT)"))
        }
        if let semi = run[.semiSynchronous], let asynchronous = run[.asynchronous] {
            claims.append(added(semi, over: asynchronous, "semi-synchronous: +100–200 ms (one remote ACK)"))
        }
        if let asynchronous = run[.asynchronous] {
            claims.append(
                DocumentClaim(
                    Self.strategies, "asynchronous: local only (~5 ms)",
                    measured: "p50 \(ms(asynchronous.writeAtHome.p50)) at home, \(ms(asynchronous.write.p50)) over the "
                        + "clients of all regions",
                    value: asynchronous.writeAtHome.p50, in: Self.aboutFive,
                    agrees: "Three zones of one region acknowledge it; clients elsewhere still go to the home region.",
                    less: "It waits for two zones a millisecond apart and for nothing between client and region; "
                        + "clients elsewhere still go to the home region.",
                    more: "The p99 of \(ms(asynchronous.writeAtHome.p99)) shows that something else held it up."))
        }
        if let region = run[.synchronousRegion] {
            let time = region.writeAtHome.p50
            claims.append(
                DocumentClaim(
                    Self.strategies, "Spanner pays ~10–50 ms, higher for distant regions", measured: "p50 \(ms(time))",
                    value: time, in: 10...50,
                    agrees: "The nearest other region is \(ms(nearest)) away.",
                    less: "The nearest other region is only \(ms(nearest)) away.",
                    more: "These are distant regions: the nearest other one is \(ms(nearest)) away, and the rest is "
                        + "\(ms(max(0, time - nearest)))."))
        }
        return claims
    }

    private func added(_ mode: ModeFigures, over base: ModeFigures, _ says: String) -> DocumentClaim {
        let added = mode.writeAtHome.p50 - base.writeAtHome.p50
        return DocumentClaim(
            Self.strategies, says,
            measured: "+\(ms(added)) at home (p50 \(ms(mode.writeAtHome.p50)) against \(ms(base.writeAtHome.p50)))",
            value: added, in: 100...200,
            agrees: "It is the round trip to the nearest other region, \(ms(nearest)).",
            less: "It waits for the nearest other region alone, which is \(ms(nearest)) away; the document reckons "
                + "with farther ones.",
            more: "The nearest other region is \(ms(nearest)) away; the rest is waiting for cores and disks.")
    }

    // MARK: Consistency

    var consistency: [DocumentClaim] {
        let modes: [(ModeFigures.Kind, String)] = [
            (.synchronousRegion, "synchronous: strong (linearizable)"),
            (.semiSynchronous, "semi-synchronous: strong within quorum"),
            (.asynchronous, "asynchronous: eventual"),
        ]
        var claims: [DocumentClaim] = []
        for (kind, says) in modes {
            guard let mode = run[kind], let longest = mode.longestStrongStaleness else { continue }
            // Of eventual consistency a strong read is less stale than it has to be.
            let isEventual = kind == .asynchronous
            let local = ms(mode.staleness.p50)
            claims.append(
                DocumentClaim(
                    Self.strategies, says,
                    measured: "strong reads at most \(ms(longest)) stale, local reads \(local) at p50",
                    value: isEventual ? -1 : longest, in: 0...0,
                    agrees: "Strong reads go to the leaseholder and showed all that was acknowledged; only who asks "
                        + "for a local copy gets an older one.",
                    less: longest == 0
                        ? "Less stale than claimed: all writes go to one leaseholder, so strong reads are offered in "
                            + "this mode too; \"eventual\" are its local reads."
                        : "Its strong reads were stale by \(ms(longest)), as an eventual store's may be.",
                    more: "A strong read missed a write that had been acknowledged: a bug."))
        }
        if let asynchronous = run[.asynchronous] {
            claims.append(
                DocumentClaim(
                    Self.passive, "replication lag of 50–200 ms",
                    measured: "local reads elsewhere \(ms(asynchronous.staleness.p50)) stale at p50, "
                        + "\(ms(asynchronous.staleness.p99)) at p99",
                    value: asynchronous.staleness.p50, in: 50...200,
                    agrees: "A local read shows what a copy has heard to be complete, and the ways from home are "
                        + "\(ms(nearest / 2)) to \(ms(farthest / 2)) long.",
                    less: "The ways from home are only \(ms(nearest / 2)) to \(ms(farthest / 2)) long.",
                    more: "Rows reach the copies after \(ms(nearest / 2)) to \(ms(farthest / 2)); the rest is a local "
                        + "read's wait for a time up to which all ranges of its node are known to be complete."))
        }
        return claims
    }
}
