import MeridianCore
import Testing

@testable import Meridian

struct StandstillWatchTests {
    private func instant(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    /// Says at every tenth of a second that it runs.
    private func run(_ watch: StandstillWatch, _ span: ClosedRange<Int64>) {
        for time in stride(from: span.lowerBound, through: span.upperBound, by: 100) { watch.beat(at: instant(time)) }
    }

    @Test func whoHasJustBegunHasHeardNobody() {
        let watch = StandstillWatch()
        #expect(!watch.canJudge(at: instant(0)))
        run(watch, 100...1_900)
        #expect(!watch.canJudge(at: instant(1_950)))
        #expect(watch.canJudge(at: instant(2_000)))
    }

    @Test func silenceDuringAStandstillDoesNotCount() {
        let watch = StandstillWatch()
        run(watch, 0...5_000)
        #expect(watch.canJudge(at: instant(5_000)))
        // The judge may be the first to wake.
        #expect(!watch.canJudge(at: instant(9_000)))
        run(watch, 9_100...10_900)
        #expect(!watch.canJudge(at: instant(10_900)))
        run(watch, 10_950...11_050)
        #expect(watch.canJudge(at: instant(11_050)))
    }

    @Test func aLateBeatIsNoStandstill() {
        let watch = StandstillWatch()
        run(watch, 0...3_000)
        #expect(watch.canJudge(at: instant(4_000)))
    }
}
