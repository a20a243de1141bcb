import MeridianClock
import MeridianCore
import Testing

@Suite struct MarzulloTests {
    private func interval(_ earliest: Int64, _ latest: Int64) -> ClockInterval {
        ClockInterval(earliest: Timestamp(rawValue: earliest), latest: Timestamp(rawValue: latest))
    }

    private func expect(
        _ intervals: [ClockInterval], _ best: ClockInterval, count: Int, outvoted: [Int] = [],
        location: SourceLocation = #_sourceLocation
    ) {
        let agreement = Marzullo.agreement(of: intervals)
        #expect(agreement?.interval == best, sourceLocation: location)
        #expect(agreement?.count == count, sourceLocation: location)
        #expect(agreement?.outvoted == outvoted, sourceLocation: location)
    }

    @Test func nothingAgreesWithNothing() {
        #expect(Marzullo.agreement(of: []) == nil)
    }

    @Test func oneSourceAgreesWithItself() {
        expect([interval(3, 9)], interval(3, 9), count: 1)
        expect([interval(5, 5)], interval(5, 5), count: 1)
    }

    /// The examples of Marzullo's thesis, as Wikipedia has them.
    @Test func publishedExamples() {
        expect([interval(8, 12), interval(11, 13), interval(10, 12)], interval(11, 12), count: 3)
        expect([interval(8, 12), interval(11, 13), interval(14, 15)], interval(11, 12), count: 2, outvoted: [2])
        expect([interval(8, 9), interval(8, 12), interval(10, 12)], interval(8, 9), count: 2, outvoted: [2])
    }

    @Test func nestedSourcesAgreeOnTheInnermost() {
        expect([interval(0, 100), interval(40, 50), interval(30, 60)], interval(40, 50), count: 3)
    }

    @Test func disjointSourcesGiveTheNarrowest() {
        expect([interval(0, 10), interval(20, 25), interval(30, 40)], interval(20, 25), count: 1, outvoted: [0, 2])
    }

    @Test func ofEqualsTheEarliestIsTaken() {
        expect([interval(20, 25), interval(0, 5)], interval(0, 5), count: 1, outvoted: [0])
    }

    @Test func touchingIsAgreement() {
        expect([interval(0, 10), interval(10, 20)], interval(10, 10), count: 2)
        expect([interval(0, 10), interval(11, 20)], interval(11, 20), count: 1, outvoted: [0])
    }

    @Test func theLiarIsOutvoted() {
        expect(
            [interval(0, 10), interval(500, 501), interval(2, 12), interval(-3, 9), interval(1, 8)], interval(2, 8),
            count: 4, outvoted: [1])
    }

    @Test func hullCoversEverythingThatEnoughSourcesContain() {
        let sources = [interval(0, 10), interval(2, 4), interval(7, 9), interval(50, 60)]
        #expect(Marzullo.hull(of: sources, coveredBy: 2) == interval(2, 9))
        #expect(Marzullo.hull(of: sources, coveredBy: 1) == interval(0, 60))
        #expect(Marzullo.hull(of: sources, coveredBy: 3) == nil)
    }

    @Test func supportCountsOnlyInsideTheInterval() {
        let sources = [interval(0, 10), interval(5, 15), interval(8, 30), interval(40, 50)]
        #expect(Marzullo.support(for: interval(9, 45), among: sources) == 3)
        #expect(Marzullo.support(for: interval(12, 45), among: sources) == 2)
        #expect(Marzullo.support(for: interval(31, 39), among: sources) == 0)
    }

    /// Against trying every point that can matter.
    @Test(arguments: UInt64(1)...200)
    func agreementIsThatOfExhaustiveSearch(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let sources = (0..<(1 + random.below(8))).map { _ in
            let start = Int64(random.below(30))
            return interval(start, start + Int64(random.below(12)))
        }
        func supporters(_ point: Int64) -> Int {
            sources.count { $0.contains(Timestamp(rawValue: point)) }
        }
        let most = (0...42).map { supporters($0) }.max()
        let agreement = try #require(Marzullo.agreement(of: sources))
        #expect(agreement.count == most)
        for (index, source) in sources.enumerated() {
            let isOutvoted = agreement.outvoted.contains(index)
            #expect(source.contains(agreement.interval) == !isOutvoted)
            #expect((source.intersection(agreement.interval) == nil) == isOutvoted)
        }
        for required in 1...sources.count {
            let points = (0...42 as ClosedRange<Int64>).filter { supporters($0) >= required }
            let hull = Marzullo.hull(of: sources, coveredBy: required)
            #expect(hull?.earliest.rawValue == points.first)
            #expect(hull?.latest.rawValue == points.last)
        }
    }
}
