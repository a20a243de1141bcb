import MeridianCore
import Testing

@testable import MeridianSimulation

/// The order of the future, against a plain sort, and that nothing is lost on the way.
@Suite struct EventQueueTests {
    @Test(arguments: UInt64(1)...4) func eventsHappenByTimeAndThenInTheOrderOfScheduling(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let queue = EventQueue()
        var expected: [(at: Int64, number: Int)] = []
        var happened: [Int] = []
        // More than the queue has room for at first, with many at one moment.
        for number in 0..<2_000 {
            let at = Int64(random.below(300))
            expected.append((at, number))
            queue.insert(.run { happened.append(number) }, at: at)
        }
        expected.sort { ($0.at, $0.number) < ($1.at, $1.number) }
        for (at, _) in expected {
            #expect(queue.nextTime == at)
            guard case .run(let body) = queue.removeFirst() else { return }
            body()
        }
        #expect(happened == expected.map(\.number))
        #expect(queue.nextTime == nil)
    }

    @Test func whatComesLaterFindsItsPlaceAmongWhatWaits() {
        let queue = EventQueue()
        var last: Int64 = 0
        var random = SplitMix64(seed: 7)
        for at in 0..<100 { queue.insert(.checkpoint(node: 0, incarnation: 0), at: Int64(at)) }
        for _ in 0..<10_000 {
            let next = queue.nextTime!
            #expect(next >= last)
            last = next
            _ = queue.removeFirst()
            queue.insert(.checkpoint(node: 0, incarnation: 0), at: next + Int64(random.below(50)))
        }
    }

    @Test func whatWillNotHappenIsLetGo() {
        final class Held {}
        weak var held: Held?
        let queue = EventQueue()
        do {
            let object = Held()
            held = object
            for _ in 0..<600 { queue.insert(.run { _ = object }, at: 1) }
        }
        #expect(held != nil)
        queue.removeAll()
        #expect(held == nil)
        #expect(queue.nextTime == nil)
    }
}
