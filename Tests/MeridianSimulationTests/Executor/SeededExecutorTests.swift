import Foundation
import MeridianCore
import Testing

@testable import MeridianSimulation

/// One order of jobs for one seed; and whatever leaves the executor is noticed and named.
@Suite(.serialized) struct SeededExecutorTests {
    private func world(seed: UInt64) throws -> SimulatedWorld {
        try SimulatedWorld(seed: seed, topology: .local(nodes: 1))
    }

    /// The order in which child tasks, `async let`s and an actor get their turns.
    private func interleaving(seed: UInt64) throws -> [Int] {
        try world(seed: seed).run { _ in
            let log = Log()
            await withTaskGroup(of: Void.self) { group in
                for task in 0..<6 {
                    group.addTask {
                        for round in 0..<4 {
                            await log.append(task * 10 + round)
                            await Task.yield()
                        }
                    }
                }
            }
            return await log.entries
        }
    }

    private actor Log {
        private(set) var entries: [Int] = []
        func append(_ entry: Int) { entries.append(entry) }
    }

    @Test func oneSeedGivesOneOrderAndOthersGiveOthers() throws {
        let orders = try (1...8).map { try interleaving(seed: UInt64($0)) }
        #expect(try (1...8).map { try interleaving(seed: UInt64($0)) } == orders)
        #expect(Set(orders).count == 8)
        #expect(orders.allSatisfy { $0.sorted() == orders[0].sorted() && $0.count == 24 })
    }

    @Test func virtualTimeGoesOnWhileTasksSleep() throws {
        let world = try world(seed: 1)
        let start = ContinuousClock.now
        try world.run { world in
            async let short: Void = world.sleep(for: .seconds(600))
            async let long: Void = world.sleep(for: .seconds(1200))
            _ = await (short, long)
        }
        #expect(world.now >= .seconds(1200) && world.now < .seconds(1201))
        #expect(ContinuousClock.now - start < .seconds(60))
    }

    private func escape(_ body: @escaping @Sendable (SimulatedWorld) async throws -> Void) throws -> String {
        let world = try world(seed: 1)
        // Other tests keep Swift's threads busy for as long as it takes.
        world.executor.escapePatienceNanoseconds = 300_000_000_000
        let error = #expect(throws: SimulationError.self) { try world.run(limit: .seconds(60), body) }
        guard case .escaped(let names)? = error else {
            Issue.record("not noticed: \(String(describing: error))")
            return ""
        }
        return names.joined(separator: "\n")
    }

    @Test func anUnstructuredTaskEscapes() throws {
        let name = try escape { _ in await Task.detached { await Task.yield() }.value }
        #expect(name.contains("started outside of the simulation"), "\(name)")
        #expect(name.contains("anUnstructuredTaskEscapes"), "\(name)")
    }

    @Test func realTimeEscapes() throws {
        // Long enough that the timer does not ring before the task is suspended, on however busy a machine: then nobody
        // would have left.
        let name = try escape { _ in try await Task.sleep(for: .seconds(2)) }
        #expect(name.contains("Task.sleep"), "\(name)")
    }

    @Test func theMainActorEscapes() throws {
        let name = try escape { _ in await MainActor.run {} }
        #expect(name.contains("main actor"), "\(name)")
    }

    @Test func aContinuationThatAnotherThreadResumesEscapes() throws {
        let name = try escape { _ in
            await withCheckedContinuation { continuation in
                Thread {
                    // Otherwise it can resume what has not been suspended yet, and nobody leaves.
                    Thread.sleep(forTimeInterval: 0.1)
                    continuation.resume()
                }.start()
            }
        }
        #expect(name.contains("callbacks of other threads"), "\(name)")
    }

    @Test func whatNeverComesBackIsUnfinished() throws {
        let world = try world(seed: 1)
        let error = #expect(throws: SimulationError.self) {
            try world.run(limit: .seconds(5)) { _ in
                await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
            }
        }
        #expect(error?.description.contains("has not ended") == true)
    }
}
