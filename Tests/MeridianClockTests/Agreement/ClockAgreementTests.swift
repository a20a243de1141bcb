import MeridianClock
import MeridianCore
import Testing

/// Clusters of simulated clocks that tell each other the time over links of random delay.
struct ClockCluster {
    static let millisecond: Int64 = 1_000_000
    static let pollNanoseconds: Int64 = 250_000_000

    var clocks: [SimulatedClock]
    var agreements: [ClockAgreement]
    var trueTime = Timestamp(nanoseconds: 1_000_000_000_000)
    var random: SplitMix64
    let measuresRoundTrips: Bool

    init(nodes: Int, seed: UInt64, measuresRoundTrips: Bool = true) {
        var random = SplitMix64(seed: seed)
        let seeds = (0..<nodes).map { _ in random.next() }
        self.random = random
        clocks = seeds.map { SimulatedClock(seed: $0, origin: Timestamp(nanoseconds: 1_000_000_000_000)) }
        agreements = (0..<nodes).map { _ in ClockAgreement(configuration: .init(clusterSize: nodes)) }
        self.measuresRoundTrips = measuresRoundTrips
    }

    /// Every node asks every other one and hears its answer after random delays; then all poll.
    mutating func round(reachable: (Int, Int) -> Bool = { _, _ in true }) -> [ClockVerdict] {
        let asked = clocks.indices.map { clocks[$0].moment(at: trueTime).instant }
        trueTime = trueTime.advanced(byNanoseconds: Int64(random.below(UInt64(100 * Self.millisecond))))
        let said = clocks.indices.map { clocks[$0].moment(at: trueTime).clock }
        trueTime = trueTime.advanced(byNanoseconds: Int64(random.below(UInt64(100 * Self.millisecond))))
        for node in clocks.indices {
            let instant = clocks[node].moment(at: trueTime).instant
            for peer in clocks.indices where peer != node && reachable(peer, node) {
                agreements[node].observe(
                    said[peer], from: NodeID(UInt32(peer + 1)),
                    requestSentAt: measuresRoundTrips ? asked[node] : nil, at: instant)
            }
        }
        trueTime = trueTime.advanced(byNanoseconds: Self.pollNanoseconds)
        return clocks.indices.map { agreements[$0].poll(at: clocks[$0].moment(at: trueTime)) }
    }

    mutating func interval(_ node: Int) -> ClockInterval {
        agreements[node].interval(at: clocks[node].moment(at: trueTime))
    }
}

@Suite struct ClockAgreementTests {
    private let second: Int64 = 1_000_000_000

    @Test(arguments: UInt64(1)...40)
    func honestClocksNeverAccuseEachOther(seed: UInt64) {
        var cluster = ClockCluster(nodes: 5, seed: seed, measuresRoundTrips: seed.isMultiple(of: 2))
        for _ in 0..<200 {
            for verdict in cluster.round() {
                #expect(verdict.finding == .agrees)
                #expect(verdict.support == 5)
                #expect(verdict.outvoted.isEmpty)
            }
            for node in 0..<5 { #expect(cluster.interval(node).contains(cluster.trueTime)) }
        }
    }

    @Test(arguments: UInt64(1)...40)
    func anOutvotedNodeIsFoundWithinTwoPollsWidensOverTheTruthAndRecovers(seed: UInt64) {
        var cluster = ClockCluster(nodes: 5, seed: seed)
        for _ in 0..<5 { _ = cluster.round() }
        let liar = Int(seed % 5)
        let lie = (seed.isMultiple(of: 2) ? 1 : -1) * 2 * second
        cluster.clocks[liar].inject(.lie(byNanoseconds: lie), at: cluster.trueTime)

        var pollsUntilFound = 0
        while cluster.agreements[liar].mayLead, pollsUntilFound < 10 {
            _ = cluster.round()
            pollsUntilFound += 1
        }
        #expect(pollsUntilFound <= 2)
        let accused = [NodeID(UInt32(liar + 1))]
        for round in 0..<20 {
            let verdicts = cluster.round()
            #expect(!cluster.agreements[liar].mayLead)
            #expect(cluster.interval(liar).contains(cluster.trueTime))
            for node in 0..<5 where node != liar {
                #expect(cluster.agreements[node].mayLead)
                // A clock that fell back says nothing until it has caught up with what it said before.
                let mayBeSilent = lie < 0 && round < 10
                #expect(verdicts[node].outvoted == accused || mayBeSilent && verdicts[node].outvoted.isEmpty)
            }
        }

        cluster.clocks[liar].heal()
        var pollsUntilRecovered = 0
        while !cluster.agreements[liar].mayLead, pollsUntilRecovered < 40 {
            _ = cluster.round()
            pollsUntilRecovered += 1
            if !cluster.agreements[liar].mayLead { continue }
            #expect(cluster.interval(liar).contains(cluster.trueTime))
        }
        // A clock that was ahead first waits until the true time has passed what it said.
        #expect((2...14).contains(pollsUntilRecovered))
    }

    @Test func comingBackTakesTwoPollsInARow() {
        var agreement = ClockAgreement(configuration: .init(clusterSize: 3))
        func poll(_ own: Int64, at milliseconds: Int64) -> Bool {
            let instant = Instant(nanoseconds: milliseconds * 1_000_000)
            let truth = ClockInterval(reading: Timestamp(nanoseconds: instant.rawValue), errorNanoseconds: 1_000_000)
            for peer in 2...3 as ClosedRange<UInt32> {
                agreement.observe(truth, from: NodeID(peer), requestSentAt: instant, at: instant)
            }
            let reading = Timestamp(nanoseconds: instant.rawValue + own)
            agreement.poll(
                at: Moment(instant: instant, clock: ClockInterval(reading: reading, errorNanoseconds: 1_000_000)))
            return agreement.mayLead
        }
        #expect(poll(0, at: 1_000))
        #expect(!poll(50_000_000, at: 2_000))
        #expect(!poll(0, at: 3_000))
        #expect(agreement.standing == .suspended(agreedPolls: 1))
        #expect(!poll(50_000_000, at: 4_000))
        #expect(!poll(0, at: 5_000))
        #expect(poll(0, at: 6_000))
        #expect(poll(0, at: 7_000))
    }

    @Test func withoutAMajorityHeardNothingIsDecided() {
        var cluster = ClockCluster(nodes: 5, seed: 3)
        cluster.clocks[0].inject(.lie(byNanoseconds: 10 * second), at: cluster.trueTime)
        // Node 1 hears node 2 alone: two of five.
        for _ in 0..<5 {
            let verdicts = cluster.round(reachable: { peer, node in node != 0 || peer == 1 })
            #expect(verdicts[0].finding == .undecided)
            #expect(cluster.agreements[0].mayLead)
        }
        #expect(cluster.round()[0].finding == .disagrees)
    }

    @Test func ofTwoClocksThatDisagreeNeitherLeadsAndBothCoverTheTruth() {
        var cluster = ClockCluster(nodes: 2, seed: 4)
        #expect(cluster.round().allSatisfy { $0.finding == .agrees })
        cluster.clocks[1].inject(.lie(byNanoseconds: 3 * second), at: cluster.trueTime)
        for _ in 0..<10 {
            _ = cluster.round()
            for node in 0..<2 {
                #expect(!cluster.agreements[node].mayLead)
                #expect(cluster.interval(node).contains(cluster.trueTime))
            }
        }
    }

    @Test func aNodeByItselfIsItsOwnMajority() {
        var cluster = ClockCluster(nodes: 1, seed: 5)
        #expect(cluster.round().map(\.finding) == [.agrees])
        #expect(cluster.agreements[0].mayLead)
    }

    @Test func oldSamplesAreForgotten() {
        var cluster = ClockCluster(nodes: 3, seed: 6)
        _ = cluster.round()
        cluster.trueTime = cluster.trueTime.advanced(byNanoseconds: 11 * second)
        let verdicts = cluster.round(reachable: { _, _ in false })
        #expect(verdicts.allSatisfy { $0.finding == .undecided && $0.sources == 1 })
    }

    @Test func anUnknownClockIsNoEvidenceAndDoesNotLead() {
        var cluster = ClockCluster(nodes: 3, seed: 7)
        cluster.clocks[2].inject(.loseBound, at: cluster.trueTime)
        let verdicts = cluster.round()
        #expect(verdicts.map(\.finding) == [.agrees, .agrees, .unknown])
        #expect(verdicts[0].sources == 2)
        #expect(cluster.interval(2).contains(cluster.trueTime), "what a majority says needs no clock of its own")
        #expect(!cluster.agreements[2].mayLead)

        cluster.clocks[2].heal()
        _ = cluster.round()
        #expect(!cluster.agreements[2].mayLead)
        _ = cluster.round()
        #expect(cluster.agreements[2].mayLead)
    }

    /// Not even until the next poll: what was committed by it would have to be waited for.
    @Test(arguments: [9, -9, 3_600, -3_600] as [Int64]) func aJumpIsNotBelieved(seconds: Int64) {
        var agreement = ClockAgreement(configuration: .init(clusterSize: 3))
        func moment(_ milliseconds: Int64, off: Int64 = 0) -> Moment {
            Moment(
                instant: Instant(nanoseconds: milliseconds * 1_000_000),
                clock: ClockInterval(
                    reading: Timestamp(nanoseconds: second * (10_000 + off) + milliseconds * 1_000_000),
                    errorNanoseconds: 5_000_000))
        }
        func expectTruth(_ milliseconds: Int64, off: Int64 = 0) {
            let interval = agreement.interval(at: moment(milliseconds, off: off))
            let truth = Timestamp(nanoseconds: second * 10_000 + milliseconds * 1_000_000)
            #expect(interval.contains(truth) && interval.widthNanoseconds < 12_000_000)
        }
        agreement.admit(moment(0))
        #expect(agreement.mayLead && agreement.trust.clock(at: moment(5)).isKnown)
        #expect(agreement.trust.clock(at: moment(5, off: seconds)) == .unknown)
        for time in Int64(10)...12 {
            agreement.admit(moment(time, off: seconds))
            #expect(!agreement.mayLead)
            #expect(agreement.trust.clock(at: moment(time, off: seconds)) == .unknown)
            expectTruth(time, off: seconds)
        }
        // The others contradict it as well, then it is right again, and after two polls it is as before.
        for (time, off, mayLead) in [(20, seconds, false), (520, 0, false), (1_020, 0, true)] {
            let now = moment(Int64(time), off: off)
            agreement.admit(now)
            for peer in [UInt32(2), 3] {
                agreement.observe(
                    moment(Int64(time)).clock, from: NodeID(peer), requestSentAt: now.instant, at: now.instant)
            }
            agreement.poll(at: now)
            expectTruth(Int64(time), off: off)
            #expect(agreement.mayLead == mayLead)
        }
    }

    /// A sample must hold the true time however it was delayed within its bound and however our clock drifts.
    @Test(arguments: UInt64(1)...100)
    func agedSamplesHoldTheTrueTime(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var own = SimulatedClock(seed: random.next())
        var peer = SimulatedClock(seed: random.next())
        var time = Timestamp(nanoseconds: Int64(random.below(1 << 40)))
        for _ in 0..<50 {
            let asked = own.moment(at: time).instant
            time = time.advanced(byNanoseconds: Int64(random.below(400_000_000)))
            let said = peer.moment(at: time).clock
            time = time.advanced(byNanoseconds: Int64(random.below(400_000_000)))
            let received = own.moment(at: time).instant
            let elapsed = received.nanoseconds(since: asked)
            let sample = ClockSample(
                received: said,
                maximumDelayNanoseconds: elapsed + DriftBound.standard.errorNanoseconds(over: elapsed), at: received)
            for _ in 0..<5 {
                time = time.advanced(byNanoseconds: Int64(random.below(20_000_000_000)))
                // A nanosecond each way for the rounding of the simulated instants.
                let aged = sample.aged(to: own.moment(at: time).instant, drift: .standard)
                #expect(aged.earliest.rawValue - 1 <= time.rawValue && time.rawValue <= aged.latest.rawValue + 1)
            }
        }
    }
}
