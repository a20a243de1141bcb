import MeridianCore
import Testing

@Suite struct RowDigestsTests {
    private func digests(_ rows: [([UInt8], [UInt8])]) -> RowDigests {
        var digests = RowDigests()
        for (key, value) in rows { digests.add(keySuffix: key[...], value: value) }
        return digests
    }

    private func sum(_ key: [UInt8], _ value: [UInt8]) -> UInt64 {
        let digests = digests([(key, value)])
        return digests.sums[Int(RowDigests.bucket(ofKeySuffix: key[...]))]
    }

    /// Copies of other versions compare with these.
    @Test func theHashNeverChanges() {
        let long = [UInt8](0..<100)
        #expect(sum([], []) == 0x9807_F370_8CF8_B91D)
        #expect(sum([1], []) == 0xFF5C_FEB8_0756_9511)
        #expect(sum([], [1]) == 0x0376_F684_35FF_BB40)
        #expect(sum([1, 2, 3, 4, 5, 6, 7, 8], [9]) == 0x87E7_C89E_A0D5_F17C)
        #expect(sum([1, 2, 3, 4, 5, 6, 7, 8, 9], long) == 0x0A16_0132_E8BD_75B3)
        #expect(sum(long, [1, 2, 3]) == 0x2AC5_8B1A_ACAE_E6CC)
        #expect(RowDigests.bucket(ofKeySuffix: []) == 52)
        #expect(RowDigests.bucket(ofKeySuffix: [1]) == 229)
        #expect(RowDigests.bucket(ofKeySuffix: long[...]) == 199)
    }

    @Test func neitherOrderNorPartingOfTheRowsMatters() {
        let rows = (0..<100).map { ([UInt8($0), 7], [UInt8](repeating: UInt8($0), count: $0)) }
        var parts = digests(Array(rows[60...]))
        parts.add(digests(Array(rows[..<60])))
        #expect(parts == digests(rows.reversed()))
        #expect(digests(rows).differingBuckets(from: parts).isEmpty)
    }

    @Test func whereKeysAndValuesBeginAndEndMatters() {
        let rows: [([UInt8], [UInt8])] = [
            ([], [1, 2]), ([1], [2]), ([1, 2], []), ([1, 2, 0], []), ([1, 2], [0]), ([2], [1]),
        ]
        #expect(Set(rows.map { sum($0.0, $0.1) }).count == rows.count)
    }

    @Test func aDifferenceIsInTheRowsBucketAlone() throws {
        let rows = (0..<200).map { ([UInt8($0)], [UInt8]([1, 2, 3])) }
        for changed in 0..<200 {
            var others = rows
            others[changed].1 = [1, 2, 4]
            let bucket = RowDigests.bucket(ofKeySuffix: rows[changed].0[...])
            #expect(digests(others).differingBuckets(from: digests(rows)) == [bucket])
            others.remove(at: changed)
            #expect(digests(others).differingBuckets(from: digests(rows)) == [bucket])
        }
    }

    /// 25,600 keys that differ little spread evenly: 100 a bucket, with a standard deviation of 10.
    @Test func theBucketsAreEven() {
        var counts = [Int](repeating: 0, count: RowDigests.bucketCount)
        for number in 0..<25_600 {
            let key = [0, 0, UInt8(number >> 8), UInt8(number & 0xFF)]
            counts[Int(RowDigests.bucket(ofKeySuffix: key[...]))] += 1
        }
        #expect(counts.min()! > 50 && counts.max()! < 150)
    }

    @Test func theEncodedFormComesBack() throws {
        let some = digests((0..<50).map { ([UInt8($0)], [UInt8($0), 255]) })
        #expect(some.encoded.count == RowDigests.byteCount)
        #expect(try RowDigests(decoding: some.encoded) == some)
        #expect(throws: MeridianError.self) { try RowDigests(decoding: Array(some.encoded.dropLast())) }
    }

    @Test func theEncodedFormIsLittleEndian() {
        let some = digests([([1], [])])
        let bucket = Int(RowDigests.bucket(ofKeySuffix: [1]))
        #expect(some.encoded[bucket * 8] == UInt8(truncatingIfNeeded: some.sums[bucket]))
        #expect(some.encoded[bucket * 8 + 7] == UInt8(truncatingIfNeeded: some.sums[bucket] >> 56))
    }
}
