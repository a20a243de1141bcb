import MeridianCore
import MeridianPlacement
import Testing

/// What a plan says, and how what is wrong with it is told.
@Suite struct PlanFileTests {
    private func plan(_ text: String, matrix: String? = nil) throws -> PlanFile {
        try PlanFile(text, file: "test.plan") { (name) throws(MeridianError) -> String in
            guard let matrix else { throw MeridianError(.invalidConfiguration, "no such file") }
            return matrix
        }
    }

    /// Regions `paris` and `oslo` on line 1 and 2, 28 ms apart.
    private static let two = "region paris\nregion oslo\nmatrix uniform 28ms\n"

    // MARK: - What a plan says

    @Test func aPlanNamesRegionsDistancesAndTables() throws {
        let plan = try plan(
            """
            region paris zones a b nodes 4 jurisdiction EU   # four nodes
            region oslo
            distance paris oslo 28ms
            distance paris paris 700us
            clock 2ms
            election-timeout 1s
            failover after 3s
            table orders
                locality in paris
                placement restricted
                row 2KiB
                writes paris 120/m
                reads all 3/s
                staleness 5s
                conflicts tolerable
                write-budget 50ms
                read-budget 1.5ms
                rpo 0
                rto 2s
            """)
        #expect(plan.topology.regions == ["paris", "oslo"])
        #expect(plan.topology.nodes(in: "paris").map(\.name) == ["paris-a", "paris-b", "paris-a2", "paris-b2"])
        #expect(plan.topology.nodes(in: "oslo").count == 3)
        #expect(plan.topology.jurisdiction(of: "paris") == "EU")
        #expect(plan.topology.jurisdiction(of: "oslo") == "oslo")
        #expect(plan.topology.matrix.roundTripNanoseconds(from: "oslo", to: "paris") == 28_000_000)
        #expect(plan.topology.matrix.roundTripNanoseconds(from: "paris", to: "paris") == 700_000)
        #expect(plan.topology.matrix.roundTripNanoseconds(from: "oslo", to: "oslo") == 1_000_000)
        #expect(plan.epsilonNanoseconds == 2_000_000)
        #expect(plan.electionTimeoutNanoseconds == 1_000_000_000)
        #expect(plan.failover == .automatic(afterNanoseconds: 3_000_000_000))
        let expected = PlannedTable(
            name: "orders", locality: .regional(in: "paris"), placement: .restricted, rowBytes: 2048,
            writesPerSecond: ["paris": 2], readsPerSecond: ["paris": 3, "oslo": 3],
            wishes: PlannedTable.Wishes(
                writeBudgetNanoseconds: 50_000_000, readBudgetNanoseconds: 1_500_000,
                stalenessNanoseconds: 5_000_000_000, rpoNanoseconds: 0, rtoNanoseconds: 2_000_000_000,
                toleratesConflicts: true))
        #expect(plan.tables == [expected])
    }

    @Test func failoverIsByHandUnlessAPlanSaysOtherwise() throws {
        #expect(try plan(Self.two + "table t\nlocality global").failover == .manual)
        let automatic = try plan(Self.two + "failover automatic\ntable t\nlocality global")
        #expect(
            automatic.failover == .automatic(afterNanoseconds: ClusterTiming.authorityTermNanoseconds))
    }

    @Test(
        arguments: [
            ("", nil), ("survival zone", .synchronousZone), ("survival region", .synchronousRegion),
            ("mode synchronous", .synchronousZone), ("mode semi-synchronous 2", .semiSynchronous(remoteRegions: 2)),
            ("mode asynchronous", .asynchronous), ("mode active-active", .activeActive),
            ("survival region\nmode synchronous", .synchronousRegion),
        ] as [(String, PlannedMode?)])
    func survivalAndModeTogetherAreOneWayToReplicate(text: String, mode: PlannedMode?) throws {
        let plan = try plan(Self.two + "table t\nlocality by-row region\n" + text)
        #expect(plan.tables[0].mode == mode)
    }

    @Test func singleDistancesReplaceThoseOfAMatrix() throws {
        let text = "region us-east-1\nregion eu-west-1\nmatrix preset aws\ndistance eu-west-1 us-east-1 66ms\n"
        let plan = try plan(text + "table t\nlocality global")
        #expect(plan.topology.matrix.roundTripNanoseconds(from: "us-east-1", to: "eu-west-1") == 66_000_000)
        #expect(plan.topology.matrix.roundTripNanoseconds(from: "us-east-1", to: "us-east-1") == 1_000_000)
    }

    @Test func aMatrixFileIsReadThroughItsName() throws {
        let plan = try plan(
            "region paris\nregion oslo\nmatrix file rtt.csv\ntable t\nlocality global",
            matrix: "region,oslo,paris\noslo,1,31\nparis,31,1")
        #expect(plan.topology.matrix.roundTripNanoseconds(from: "paris", to: "oslo") == 31_000_000)
        #expect(plan.matrixSource == "file rtt.csv")
    }

    // MARK: - What is wrong

    @Test(arguments: [
        ("regoin paris", 1, 1, "there is no statement \"regoin\"", "region"),
        ("region paris\nregion oslo\ndistance paris olso 3ms", 3, 16, "there is no region \"olso\"", "oslo"),
        (two + "table t\nlocality in pariss", 5, 13, "there is no region \"pariss\"", "paris"),
        (two + "table t\n  localty global", 5, 3, "there is no statement \"localty\"", "locality"),
        (two + "table t\nlocality by-rwo region", 5, 10, "there is no locality \"by-rwo\"", "by-row"),
        (two + "table t\nlocality global\nmode asynchronus", 6, 6, "there is no mode \"asynchronus\"", "asynchronous"),
        (two + "table t\nlocality global\nplacement restrictd", 6, 11, "there is no placement", "restricted"),
        (two + "table t\nlocality global\nconflicts tolerabel", 6, 11, "there is no conflicts", "tolerable"),
        (two + "table t\nlocality global\nwrites prais 3/s", 6, 8, "there is no region \"prais\"", "paris"),
        (
            "region us-eats-1\nmatrix preset aws\ntable t\nlocality global", 1, 8, "has no region \"us-eats-1\"",
            "us-east-1"
        ),
        ("region paris\nmatrix preset asw\n", 2, 15, "there is no preset \"asw\"", "aws"),
        ("region paris\nmatrix unifrom 3ms\n", 2, 8, "there is no kind of matrix \"unifrom\"", "uniform"),
        ("region paris zoens a", 1, 14, "there is no clause of a region called \"zoens\"", "zones"),
        (two + "failover manul", 4, 10, "there is no failover \"manul\"", "manual"),
    ])
    func aMisspeltNameIsToldWithItsPlaceAndTheNearest(
        text: String, line: Int, column: Int, message: String, suggestion: String
    ) throws {
        let error = try #require(throws: PlanFileError.self) { try plan(text) }
        #expect(error.line == line && error.column == column, "\(error)")
        #expect(error.message.contains(message), "\(error)")
        #expect(error.suggestion == suggestion, "\(error)")
        #expect("\(error)".hasPrefix("test.plan:\(line):\(column): "))
        #expect("\(error)".hasSuffix("did you mean \"\(suggestion)\"?"))
    }

    @Test(arguments: [
        ("", 1, 1, "there is no region"),
        ("region", 1, 7, "something is missing: the region's name"),
        ("region paris\nregion paris", 2, 8, "declared twice"),
        ("region paris zones", 1, 14, "zones are missing"),
        ("region paris zones a a", 1, 22, "zone \"a\" is named twice"),
        ("region paris nodes 0", 1, 20, "is no number of nodes"),
        ("region paris\nregion oslo\ntable t\nlocality global", 2, 8, "the distance between paris and oslo is missing"),
        (two + "matrix preset aws", 4, 1, "matrix is given twice"),
        (two + "distance paris oslo 3ms\ndistance oslo paris 4ms", 5, 1, "is given twice"),
        (two + "distance paris oslo 70", 4, 21, "\"70\" has no unit; write 70ms"),
        (two + "distance paris oslo 70sm", 4, 21, "unknown unit \"sm\""),
        (two + "distance paris oslo -3ms", 4, 21, "is negative"),
        (two + "distance paris oslo far", 4, 21, "\"far\" is not a duration"),
        (two + "distance paris oslo 2h", 4, 21, "more than a minute"),
        (two + "clock 1ms\nclock 2ms", 5, 1, "clock is given twice"),
        (two + "clock 1ms 2ms", 4, 11, "\"2ms\" is too much"),
        (two + "election-timeout 5ms", 4, 18, "below 100ms"),
        (two + "matrix file gone.csv", 4, 1, "matrix is given twice"),
        ("region paris\nmatrix file gone.csv", 2, 13, "gone.csv: no such file"),
        (two + "locality global", 4, 1, "belongs to a table"),
        (two, 2, 1, "there is no table"),
        (two + "table t\ntable t", 5, 7, "is planned twice"),
        (two + "table t", 4, 7, "has no locality"),
        (two + "table t\nlocality global\nlocality in oslo", 6, 1, "locality is given twice"),
        (two + "table t\nlocality global\nmode asynchronous", 6, 6, "a global table is planned as synchronous"),
        (two + "table t\nlocality in oslo\nsurvival region\nmode asynchronous", 7, 6, "exclude each other"),
        (two + "table t\nlocality in oslo\nmode semi-synchronous", 6, 22, "something is missing"),
        (two + "table t\nlocality in oslo\nwrites oslo 200", 6, 13, "is no rate"),
        (two + "table t\nlocality in oslo\nwrites all 2/s\nwrites oslo 1/s", 7, 8, "given twice"),
        (two + "table t\nlocality in oslo\nrow 0B", 6, 5, "not between 1 byte and 4 MiB"),
        (two + "table t\nlocality in oslo\nrow 400", 6, 5, "is no size"),
    ])
    func whatIsWrongIsToldWithItsPlace(text: String, line: Int, column: Int, message: String) throws {
        let error = try #require(throws: PlanFileError.self) { try plan(text) }
        #expect(error.line == line && error.column == column, "\(error)")
        #expect(error.message.contains(message), "\(error)")
    }

    @Test func aDamagedMatrixFileIsToldWithItsOwnLine() throws {
        let error = try #require(throws: PlanFileError.self) {
            try plan("region paris\nmatrix file rtt.csv", matrix: "region,paris\nparis,slow")
        }
        #expect(error.message.contains("rtt.csv: latency matrix: line 2"), "\(error)")
    }
}
