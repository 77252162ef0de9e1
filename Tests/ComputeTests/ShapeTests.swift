import Compute
import Testing

@Suite struct ShapeTests {
  @Test func countsRowsAndColumns() {
    let shape: Shape = [2, 3, 5]
    #expect(shape.rank == 3)
    #expect(shape.count == 30)
    #expect(shape.columns == 5)
    #expect(shape.rows == 6)
    #expect(shape[1] == 3)
    #expect(shape.withColumns(7) == [2, 3, 7])
    #expect("\(shape)" == "[2, 3, 5]")
  }

  @Test func scalarsAndEmptyShapes() {
    let scalar: Shape = []
    #expect(scalar.count == 1 && scalar.columns == 1 && scalar.rows == 1 && scalar.rank == 0)
    let empty: Shape = [4, 0]
    #expect(empty.count == 0 && empty.rows == 4 && empty.columns == 0)
  }
}

@Suite struct DTypeTests {
  @Test func bytes() {
    #expect(DType.allCases.map(\.byteCount) == [4, 2, 2, 4])
    #expect(DType.allCases.filter { !$0.isFloatingPoint } == [.i32])
  }
}

/// Memory that only counts its bytes.
private final class CountedStorage: Storage {
  let byteCount: Int
  init(_ byteCount: Int) { self.byteCount = byteCount }
}

@Suite struct TensorTests {
  private let tensor = Tensor(storage: CountedStorage(1000), offset: 7, shape: [6, 5], dtype: .f32)

  @Test func sizes() {
    #expect(tensor.count == 30 && tensor.byteCount == 120 && tensor.rowCount == 6 && tensor.columnCount == 5)
    #expect(!tensor.isEmpty)
    #expect(Tensor(storage: CountedStorage(0), shape: [0, 3], dtype: .bf16).isEmpty)
  }

  @Test func rowsAreViews() throws {
    let view = try tensor.rows(2..<5)
    #expect(view.storage === tensor.storage)
    #expect(view.offset == 17 && view.shape == [3, 5] && view.dtype == .f32)
    let inner = try view.rows(1..<2)
    #expect(inner.offset == 22 && inner.shape == [1, 5])
    #expect(try tensor.rows(6..<6).isEmpty)
    #expect(throws: ComputeError.self) { try tensor.rows(4..<7) }
    #expect(throws: ComputeError.self) { try tensor.rows(-1..<2) }
    #expect(throws: ComputeError.self) { try tensor.reshaped([2, 3, 5]).rows(0..<1) }
  }

  @Test func reshapingKeepsElements() throws {
    let reshaped = try tensor.reshaped([3, 10])
    #expect(reshaped.storage === tensor.storage && reshaped.offset == 7 && reshaped.shape == [3, 10])
    #expect(throws: ComputeError.self) { try tensor.reshaped([4, 7]) }
  }
}
