"""The names of the operations whose results are recorded from PyTorch, by family."""

# ruff: noqa: SIM905 - words in a text are read and changed more easily than a list of quoted ones
POINTWISE_UNARY = """ abs acos acosh angle asin asinh atan atanh bitwise_not ceil cos cosh deg2rad digamma
erf erfc erfinv exp exp2 expm1 fix floor frac frexp i0 isfinite isinf isnan isneginf isposinf isreal lgamma
log log10 log1p log2 logical_not logit nan_to_num neg negative positive rad2deg reciprocal round rsqrt
sigmoid sgn sign signbit sin sinc sinh sqrt square tan tanh trunc mvlgamma clamp clamp_max clamp_min clip
polygamma special.entr special.erfcx special.expit special.gammaln special.i0e special.i1 special.i1e
special.log_ndtr special.ndtr special.ndtri special.polygamma special.bessel_j0 special.bessel_j1
""".split()

POINTWISE_BINARY = """
add atan2 bitwise_and bitwise_or bitwise_xor copysign div divide float_power floor_divide fmax fmin fmod gcd
heaviside hypot lcm ldexp logaddexp logaddexp2 logical_and logical_or logical_xor maximum minimum mul
multiply nextafter pow remainder rsub sub subtract true_divide xlogy eq ne lt le gt ge isclose allclose
equal special.xlog1py special.zeta
""".split()

POINTWISE_TERNARY = "addcdiv addcmul lerp where".split()

REDUCTION = """
all amax amin aminmax any argmax argmin corrcoef count_nonzero cov cummax cummin cumprod cumsum
cumulative_trapezoid diff gradient kthvalue logcumsumexp logsumexp max mean median min mode nanmean
nanmedian nanquantile nansum norm prod quantile std std_mean sum trapezoid trapz var var_mean histc bincount
""".split()

SHAPE = """
T mT argsort argwhere atleast_1d atleast_2d atleast_3d block_diag broadcast_tensors broadcast_to
cartesian_prod cat chunk clone column_stack combinations concat concatenate constant_pad_nd contiguous diag
diag_embed diagflat diagonal diagonal_scatter dsplit dstack expand expand_as fill flatten flip fliplr flipud
gather hsplit hstack index_add index_copy index_fill index_put index_reduce index_select masked_fill
masked_scatter masked_select meshgrid movedim moveaxis msort narrow nonzero permute pad put ravel repeat
repeat_interleave reshape reshape_as roll rot90 scatter scatter_add scatter_reduce searchsorted bucketize
select select_scatter slice slice_scatter sort split split_with_sizes squeeze stack swapaxes swapdims t take
take_along_dim tensor_split tile topk trace transpose tril tril_indices triu triu_indices unbind unflatten
unfold unique unique_consecutive unravel_index unsqueeze view view_as vsplit vstack
""".split()

LINEAR_ALGEBRA = """
addbmm addmm addmv addr baddbmm bmm cdist cholesky cholesky_inverse cholesky_solve cross det dist dot einsum
inner inverse kron logdet lu lu_solve matmul matrix_exp matrix_power mm mv outer pinverse qr renorm slogdet
svd tensordot vander vdot linalg.cholesky linalg.cond linalg.cross linalg.det linalg.diagonal linalg.eigh
linalg.eigvalsh linalg.inv linalg.lstsq linalg.lu linalg.lu_solve linalg.matrix_norm linalg.matrix_power
linalg.matrix_rank linalg.multi_dot linalg.norm linalg.pinv linalg.qr linalg.slogdet linalg.solve
linalg.solve_triangular linalg.svd linalg.svdvals linalg.tensorinv linalg.tensorsolve linalg.vander
linalg.vecdot linalg.vector_norm
""".split()

ACTIVATIONS = """
celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu log_softmax logsigmoid mish prelu
relu relu6 selu silu softmax softmin softplus softshrink softsign tanhshrink threshold
""".split()

LOSSES = """
binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy ctc_loss
gaussian_nll_loss hinge_embedding_loss huber_loss kl_div l1_loss margin_ranking_loss mse_loss
multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss nll_loss poisson_nll_loss
smooth_l1_loss soft_margin_loss triplet_margin_loss
""".split()

LAYERS = """
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
adaptive_max_pool3d avg_pool1d avg_pool2d avg_pool3d batch_norm bilinear channel_shuffle conv1d conv2d
conv3d conv_transpose1d conv_transpose2d conv_transpose3d cosine_similarity dropout embedding grid_sample
grid_sampler_2d grid_sampler_3d group_norm instance_norm interpolate layer_norm linear local_response_norm
max_pool1d max_pool2d max_pool3d max_unpool1d max_unpool2d max_unpool3d normalize one_hot pairwise_distance
pdist pixel_shuffle pixel_unshuffle rms_norm scaled_dot_product_attention upsample_bilinear upsample_nearest
""".split()

MAKING = """
arange empty eye full full_like linspace logspace ones ones_like tensor zeros zeros_like rand rand_like
randn randn_like randint randint_like randperm bernoulli multinomial normal poisson
""".split()

CASTS = "to float double long int short bool type_as".split()

IN_PLACE = [
    f"{name}_"
    for name in """
abs acos acosh asin asinh atan atanh bitwise_not ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2
expm1 fix floor frac i0 lgamma log log10 log1p log2 logical_not logit nan_to_num neg negative rad2deg
reciprocal round rsqrt sigmoid sign sin sinc sinh sqrt square tan tanh trunc mvlgamma clamp clamp_max
clamp_min clip polygamma add atan2 bitwise_and bitwise_or bitwise_xor copysign div divide float_power
floor_divide fmod gcd heaviside hypot lcm ldexp logical_and logical_or logical_xor mul multiply nextafter
pow remainder sub subtract true_divide xlogy eq ne lt le gt ge addcdiv addcmul lerp fill index_add
index_copy index_fill index_put index_reduce masked_fill masked_scatter put scatter scatter_add
scatter_reduce squeeze swapaxes swapdims t transpose tril triu unsqueeze copy zero
""".split()
]

FUNCTIONAL = frozenset(ACTIVATIONS + LOSSES + LAYERS + ["pad"])

NAMES = (
    POINTWISE_UNARY
    + POINTWISE_BINARY
    + POINTWISE_TERNARY
    + REDUCTION
    + SHAPE
    + LINEAR_ALGEBRA
    + ACTIVATIONS
    + LOSSES
    + LAYERS
    + MAKING
    + CASTS
)
