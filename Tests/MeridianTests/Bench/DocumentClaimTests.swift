import BenchSupport
import Testing

/// The design document's claims held against made-up figures: what is said follows from them.
@Suite struct DocumentClaimTests {
    private func claim(_ run: ModesRun, _ says: String) throws -> DocumentClaim {
        try #require(DocumentClaim.all(of: run).first { $0.says.hasPrefix(says) })
    }

    @Test(arguments: [
        (0.9, DocumentClaim.Verdict.less), (2.5, .agrees), (10, .agrees), (10.1, .more),
    ])
    func theVerdictFollowsTheRange(_ value: Double, _ verdict: DocumentClaim.Verdict) {
        let claim = DocumentClaim(
            "s", "c", measured: "m", value: value, in: 2.5...10, agrees: "agrees", less: "less", more: "more")
        #expect(claim.verdict == verdict)
        #expect(claim.why == (verdict == .agrees ? "agrees" : verdict == .less ? "less" : "more"))
    }

    @Test func aSynchronousWriteIsHeldAgainstTheLocalOne() throws {
        var run = ModesRun.sample
        let near = try claim(run, "synchronous: +100–200 ms")
        #expect(near.verdict == .less && near.measured.hasPrefix("+71 ms"))
        #expect(near.why.contains("71 ms"))
        run[.synchronousRegion]?.writeAtHome.p50 += 60
        #expect(try claim(run, "synchronous: +100–200 ms").verdict == .agrees)
    }

    @Test func aLostWriteOfASynchronousModeIsCalledABug() throws {
        var run = ModesRun.sample
        #expect(try claim(run, "synchronous: zero data loss").verdict == .agrees)
        #expect(run[.synchronousRegion]?.brokenPromise == nil)
        run[.synchronousRegion]?.loss.missing = 1
        let lost = try claim(run, "synchronous: zero data loss")
        #expect(lost.verdict == .more && lost.measured.hasPrefix("1 write lost") && lost.why.contains("bug"))
        #expect(run[.synchronousRegion]?.brokenPromise != nil)
    }

    @Test func anAsynchronousModeMayLoseWhatItReports() throws {
        var run = ModesRun.sample
        #expect(run[.asynchronous]?.brokenPromise == nil)
        #expect(try claim(run, "asynchronous: data loss").why.contains("4 of 4"))
        #expect(try claim(run, "RPO: seconds to minutes").verdict == .less)
        run[.asynchronous]?.loss.reported = 3
        #expect(run[.asynchronous]?.brokenPromise?.contains("4 acknowledged writes") == true)
    }

    @Test func lastWriterWinsIsNotSilentWhereConflictsAreListed() throws {
        var run = ModesRun.sample
        let listed = try claim(run, "last write wins")
        #expect(listed.verdict == .less && listed.why.contains("not silently"))
        run[.activeActive]?.conflicts = .merged(0)
        #expect(try claim(run, "last write wins").verdict == .agrees)
    }

    @Test func aModeThatDidNotRunHasNoClaims() {
        var run = ModesRun.sample
        run.modes.removeAll { $0.kind == .asynchronous }
        let claims = DocumentClaim.all(of: run)
        #expect(!claims.isEmpty && !claims.contains { $0.says.contains("asynchronous: eventual") })
    }
}

extension ModesRun {
    fileprivate subscript(_ kind: ModeFigures.Kind) -> ModeFigures? {
        get { modes.first { $0.kind == kind } }
        set {
            guard let newValue, let position = modes.firstIndex(where: { $0.kind == kind }) else { return }
            modes[position] = newValue
        }
    }

    /// Every mode, with figures as they might be.
    static var sample: ModesRun {
        typealias Pair = ModeFigures.Percentiles
        let modes = ModeFigures.Kind.allCases.map { kind in
            let isSlow = [.synchronousRegion, .semiSynchronous, .global].contains(kind)
            let write = isSlow ? 73.0 : 2
            let strong = kind.isConvergent ? nil : Pair(p50: 72, p99: 149)
            var mode = ModeFigures(
                kind: kind, writeAtHome: Pair(p50: write, p99: write + 2), write: Pair(p50: write + 70, p99: 230),
                increment: Pair(p50: 150, p99: 420), strongRead: strong, farStrongRead: strong,
                localRead: Pair(p50: 0.4, p99: 1.9), readsStrongly: kind.keepsAll && kind != .semiSynchronous,
                staleness: Pair(p50: 310, p99: 460), longestStrongStaleness: kind.isConvergent ? nil : 0,
                conflicts: kind.isConvergent ? .merged(5) : .repeatedAttempts(17), writes: 600, increments: 360)
            mode.lostUpdates = kind == .activeActive ? 12 : 0
            mode.loss.recovery = kind == .synchronousZone ? nil : 3200
            mode.loss.missing = kind == .synchronousZone ? nil : kind == .asynchronous ? 4 : 0
            mode.loss.missingAge = mode.loss.missing.map { $0 > 0 ? 38 : 0 }
            if kind == .asynchronous { (mode.loss.missingAfterReturn, mode.loss.reported) = (4, 4) }
            return mode
        }
        return ModesRun(
            home: "us-east-1", regions: ["us-east-1", "eu-west-1", "ap-northeast-1"],
            links: [
                Link(from: "us-east-1", to: "eu-west-1", roundTrip: 71),
                Link(from: "us-east-1", to: "ap-northeast-1", roundTrip: 147),
                Link(from: "eu-west-1", to: "ap-northeast-1", roundTrip: 204),
            ], modes: modes)
    }
}
