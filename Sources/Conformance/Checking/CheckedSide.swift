import Compute

/// One of the two devices of a checked call, and the call's tensors as that device has them.
final class CheckedSide {
  let backend: any ComputeBackend
  private var copies: [Place: Tensor] = [:]

  private struct Place: Hashable {
    let storage: ObjectIdentifier
    let offset: Int
    let shape: Shape

    init(_ tensor: Tensor) {
      (storage, offset, shape) = (ObjectIdentifier(tensor.storage), tensor.offset, tensor.shape)
    }
  }

  init(_ backend: any ComputeBackend) { self.backend = backend }

  func add(_ tensor: Tensor, _ copy: Tensor) throws { copies[Place(tensor)] = copy }

  /// The tensor here; itself where there are no copies.
  subscript(_ tensor: Tensor) -> Tensor { copies[Place(tensor)] ?? tensor }
  subscript(_ tensor: Tensor?) -> Tensor? { tensor.map { self[$0] } }

  func indices(_ indices: Indices) throws -> Indices {
    copies.isEmpty ? indices : try backend.indices(indices.values)
  }

  /// The elements of a tensor of the call.
  func floats(_ tensor: Tensor) throws -> [Double] { try backend.download(self[tensor]).doubles }

  /// The largest magnitude in a tensor, infinities and NaN left out.
  func largest(_ tensor: Tensor?) throws -> Double {
    guard let tensor else { return 0 }
    return try floats(tensor).reduce(0) { $1.isFinite ? max($0, abs($1)) : $0 }
  }

  /// The largest Euclidean norm of a row of `width` elements, those that are not finite left out as in `largest`.
  func largestNorm(_ tensor: Tensor, width: Int) throws -> Double {
    guard width > 0 else { return 0 }
    let values = try floats(tensor)
    return stride(from: 0, to: values.count, by: width).reduce(0) { largest, start in
      let squares = values[start..<min(start + width, values.count)].reduce(0) { $1.isFinite ? $0 + $1 * $1 : $0 }
      return max(largest, squares.squareRoot())
    }
  }
}
